-- Question: how many customers and how much revenue does each country bring?
-- Grain: one row per country that has a user.
-- Title: Countries
-- Gross, discount, refund and net are defined as in revenue_by_month, over all months.
-- Everything but the column is the same as in channels.sql.  The CTEs up to refund_sums are those
-- of revenue_by_month.sql too, so that a report computes them once.
WITH valid_orders AS (
    SELECT
        orders.order_id,
        orders.user_id,
        SUBSTR(orders.ordered_at, 1, 7) AS month,
        orders.discount_cents,
        orders.subtotal_cents - orders.discount_cents AS goods_cents,
        orders.total_cents
    FROM orders
    WHERE orders.status IN (
        'paid', 'shipped', 'delivered', 'partially_returned', 'returned'
    )
),

order_sums AS (
    SELECT
        valid_orders.order_id,
        valid_orders.user_id,
        valid_orders.month,
        valid_orders.discount_cents AS order_discount_cents,
        SUM(order_items.quantity * order_items.unit_price_cents) AS gross_cents,
        SUM(order_items.discount_cents) AS line_discount_cents
    FROM valid_orders
    LEFT JOIN order_items
        ON valid_orders.order_id = order_items.order_id
    GROUP BY
        valid_orders.order_id,
        valid_orders.user_id,
        valid_orders.month,
        valid_orders.discount_cents
),

customer_sums AS (
    SELECT
        order_sums.user_id,
        MIN(order_sums.month) AS first_month,
        COUNT(*) AS order_count,
        SUM(order_sums.gross_cents) AS gross_cents,
        SUM(order_sums.line_discount_cents) AS line_discount_cents,
        SUM(order_sums.order_discount_cents) AS order_discount_cents
    FROM order_sums
    GROUP BY order_sums.user_id
),

refunds AS (
    SELECT
        valid_orders.user_id,
        SUBSTR(payments.processed_at, 1, 7) AS month,
        payments.amount_cents * valid_orders.goods_cents AS weighted_cents,
        valid_orders.total_cents
    FROM payments
    INNER JOIN valid_orders
        ON payments.order_id = valid_orders.order_id
    WHERE
        payments.kind = 'refund'
        AND payments.status = 'succeeded'
        AND valid_orders.total_cents > 0
),

refund_sums AS (
    SELECT
        refunds.user_id,
        refunds.month,
        SUM(
            CAST(
                (refunds.weighted_cents - refunds.weighted_cents % refunds.total_cents)
                / refunds.total_cents
                + 0.25 AS BIGINT
            )
        ) AS refund_cents
    FROM refunds
    GROUP BY refunds.user_id, refunds.month
),

country_users AS (
    SELECT
        users.country_code,
        COUNT(*) AS user_count
    FROM users
    GROUP BY users.country_code
),

country_sums AS (
    SELECT
        users.country_code,
        COUNT(*) AS customer_count,
        SUM(customer_sums.order_count) AS order_count,
        SUM(customer_sums.gross_cents) AS gross_cents,
        SUM(customer_sums.line_discount_cents) AS line_discount_cents,
        SUM(customer_sums.order_discount_cents) AS order_discount_cents
    FROM customer_sums
    INNER JOIN users
        ON customer_sums.user_id = users.user_id
    GROUP BY users.country_code
),

country_refunds AS (
    SELECT
        users.country_code,
        SUM(refund_sums.refund_cents) AS refund_cents
    FROM refund_sums
    INNER JOIN users
        ON refund_sums.user_id = users.user_id
    GROUP BY users.country_code
)

SELECT
    country_users.country_code,
    country_users.user_count,
    COALESCE(country_sums.customer_count, 0) AS customer_count,
    COALESCE(country_sums.order_count, 0) AS order_count,
    COALESCE(country_sums.gross_cents, 0) AS gross_cents,
    COALESCE(country_sums.line_discount_cents, 0)
    + COALESCE(country_sums.order_discount_cents, 0) AS discount_cents,
    COALESCE(country_refunds.refund_cents, 0) AS refund_cents,
    COALESCE(country_sums.gross_cents, 0)
    - COALESCE(country_sums.line_discount_cents, 0)
    - COALESCE(country_sums.order_discount_cents, 0)
    - COALESCE(country_refunds.refund_cents, 0) AS net_cents
FROM country_users
LEFT JOIN country_sums
    ON country_users.country_code = country_sums.country_code
LEFT JOIN country_refunds
    ON country_users.country_code = country_refunds.country_code
ORDER BY net_cents DESC, country_users.country_code;
