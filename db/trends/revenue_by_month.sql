-- Question: what is the net revenue of each month, from new and returning customers?
-- Grain: one row per month with a valid order or a refund of one.
-- Title: Revenue by month
-- An order is in the month in which it was placed, a refund in the month in which it was
-- paid.
-- Of a refund only the share of the goods counts, without shipping and tax, rounded down:
-- refund * (subtotal - discount) / total.
-- (x - x % y) / y is an integer by the division of every engine.  An engine that divides in
-- floating point can return slightly less than that integer; the added 0.25 makes the cast
-- correct whether it rounds or truncates.
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

month_orders AS (
    SELECT
        valid_orders.month,
        COUNT(*) AS order_count,
        SUM(valid_orders.discount_cents) AS discount_cents
    FROM valid_orders
    GROUP BY valid_orders.month
),

month_items AS (
    SELECT
        valid_orders.month,
        SUM(order_items.quantity * order_items.unit_price_cents) AS gross_cents,
        SUM(order_items.discount_cents) AS discount_cents
    FROM valid_orders
    INNER JOIN order_items
        ON valid_orders.order_id = order_items.order_id
    GROUP BY valid_orders.month
),

refunds AS (
    SELECT
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

month_refunds AS (
    SELECT
        refunds.month,
        SUM(
            CAST(
                (refunds.weighted_cents - refunds.weighted_cents % refunds.total_cents)
                / refunds.total_cents
                + 0.25 AS BIGINT
            )
        ) AS refund_cents
    FROM refunds
    GROUP BY refunds.month
),

customer_months AS (
    SELECT
        valid_orders.user_id,
        valid_orders.month
    FROM valid_orders
    GROUP BY valid_orders.user_id, valid_orders.month
),

first_months AS (
    SELECT
        customer_months.user_id,
        MIN(customer_months.month) AS month
    FROM customer_months
    GROUP BY customer_months.user_id
),

month_customers AS (
    SELECT
        customer_months.month,
        SUM(
            CASE WHEN customer_months.month = first_months.month THEN 1 ELSE 0 END
        ) AS new_customers,
        SUM(
            CASE WHEN customer_months.month > first_months.month THEN 1 ELSE 0 END
        ) AS returning_customers
    FROM customer_months
    INNER JOIN first_months
        ON customer_months.user_id = first_months.user_id
    GROUP BY customer_months.month
),

months AS (
    SELECT month_orders.month
    FROM month_orders
    UNION
    SELECT month_refunds.month
    FROM month_refunds
)

SELECT
    months.month,
    COALESCE(month_items.gross_cents, 0) AS gross_cents,
    COALESCE(month_items.discount_cents, 0)
    + COALESCE(month_orders.discount_cents, 0) AS discount_cents,
    COALESCE(month_refunds.refund_cents, 0) AS refund_cents,
    COALESCE(month_items.gross_cents, 0)
    - COALESCE(month_items.discount_cents, 0)
    - COALESCE(month_orders.discount_cents, 0)
    - COALESCE(month_refunds.refund_cents, 0) AS net_cents,
    COALESCE(month_orders.order_count, 0) AS order_count,
    COALESCE(month_customers.new_customers, 0) AS new_customers,
    COALESCE(month_customers.returning_customers, 0) AS returning_customers
FROM months
LEFT JOIN month_orders
    ON months.month = month_orders.month
LEFT JOIN month_items
    ON months.month = month_items.month
LEFT JOIN month_refunds
    ON months.month = month_refunds.month
LEFT JOIN month_customers
    ON months.month = month_customers.month
ORDER BY months.month;
