-- Question: what are the figures of the touched orders and of their customers?
-- Grain: one row.
-- The scratch database of effects.py has no rules, so a cell may hold anything: a text
-- counts as 0.  Rows of a repeated key count each.  Orders without a known customer count
-- in net and orders only.  Terms are those of queries/join_query.sql, which computes the
-- same for the clean shop.  :last_month is the last complete month, as 12 x year + month.
WITH placed_orders AS (
    SELECT
        orders.order_id,
        MIN(orders.user_id) AS user_id,
        MIN(orders.status) AS status,
        MIN(orders.ordered_at) AS ordered_at,
        MIN(orders.subtotal_cents - orders.discount_cents) AS goods_cents,
        MIN(orders.total_cents) AS total_cents,
        SUM(orders.discount_cents) AS discount_cents,
        COUNT(*) AS order_count
    FROM orders
    WHERE orders.order_id IN (SELECT touched_orders.order_id FROM touched_orders)
    GROUP BY orders.order_id
),

valid_orders AS (
    SELECT
        placed_orders.*,
        12 * SUBSTR(placed_orders.ordered_at, 1, 4)
        + SUBSTR(placed_orders.ordered_at, 6, 2) AS month_number
    FROM placed_orders
    WHERE
        placed_orders.status IN (
            'paid', 'shipped', 'delivered', 'partially_returned', 'returned'
        )
),

order_lines AS (
    SELECT
        order_items.order_id,
        SUM(
            order_items.quantity * order_items.unit_price_cents
            - order_items.discount_cents
        ) AS line_cents
    FROM order_items
    WHERE order_items.order_id IN (SELECT valid_orders.order_id FROM valid_orders)
    GROUP BY order_items.order_id
),

revenue AS (
    SELECT
        valid_orders.order_id,
        valid_orders.user_id,
        valid_orders.month_number,
        order_lines.line_cents - valid_orders.discount_cents AS net_cents
    FROM valid_orders
    INNER JOIN order_lines
        ON valid_orders.order_id = order_lines.order_id
    UNION ALL
    SELECT
        valid_orders.order_id,
        valid_orders.user_id,
        MAX(
            valid_orders.month_number,
            12 * SUBSTR(refunds.processed_at, 1, 4) + SUBSTR(refunds.processed_at, 6, 2)
        ) AS month_number,
        -(refunds.amount_cents * valid_orders.goods_cents / valid_orders.total_cents)
            AS net_cents
    FROM valid_orders
    INNER JOIN refunds
        ON valid_orders.order_id = refunds.order_id
    WHERE valid_orders.total_cents > 0
),

customers AS (
    SELECT
        valid_orders.user_id,
        SUM(valid_orders.order_count) AS order_count,
        MIN(valid_orders.month_number) AS first_month
    FROM valid_orders
    WHERE valid_orders.user_id IN (SELECT users.user_id FROM users)
    GROUP BY valid_orders.user_id
),

cohort_customers AS (
    SELECT
        customers.user_id,
        customers.first_month
    FROM customers
    WHERE customers.first_month BETWEEN 1 AND :last_month - 12
)

SELECT
    (SELECT COALESCE(SUM(revenue.net_cents), 0) FROM revenue) AS net_cents,
    (SELECT COALESCE(SUM(valid_orders.order_count), 0) FROM valid_orders) AS order_count,
    (SELECT COUNT(*) FROM customers) AS customer_count,
    (SELECT COUNT(*) FROM customers WHERE customers.order_count > 1) AS repeat_count,
    (SELECT COUNT(*) FROM cohort_customers) AS cohort_customer_count,
    (
        SELECT COALESCE(SUM(revenue.net_cents), 0)
        FROM revenue
        INNER JOIN cohort_customers
            ON revenue.user_id = cohort_customers.user_id
        WHERE revenue.month_number <= cohort_customers.first_month + 12
    ) AS cohort_net_cents
