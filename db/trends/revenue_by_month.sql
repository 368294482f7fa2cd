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
-- The CTEs up to refund_sums are those of channels.sql and countries.sql too, so that a report
-- computes them once.
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

month_sums AS (
    SELECT
        order_sums.month,
        COUNT(*) AS order_count,
        COUNT(DISTINCT order_sums.user_id) AS customer_count,
        SUM(order_sums.gross_cents) AS gross_cents,
        SUM(order_sums.line_discount_cents) AS line_discount_cents,
        SUM(order_sums.order_discount_cents) AS order_discount_cents
    FROM order_sums
    GROUP BY order_sums.month
),

month_refunds AS (
    SELECT
        refund_sums.month,
        SUM(refund_sums.refund_cents) AS refund_cents
    FROM refund_sums
    GROUP BY refund_sums.month
),

new_customers AS (
    SELECT
        customer_sums.first_month,
        COUNT(*) AS customer_count
    FROM customer_sums
    GROUP BY customer_sums.first_month
),

months AS (
    SELECT month_sums.month
    FROM month_sums
    UNION
    SELECT month_refunds.month
    FROM month_refunds
)

SELECT
    months.month,
    COALESCE(month_sums.gross_cents, 0) AS gross_cents,
    COALESCE(month_sums.line_discount_cents, 0)
    + COALESCE(month_sums.order_discount_cents, 0) AS discount_cents,
    COALESCE(month_refunds.refund_cents, 0) AS refund_cents,
    COALESCE(month_sums.gross_cents, 0)
    - COALESCE(month_sums.line_discount_cents, 0)
    - COALESCE(month_sums.order_discount_cents, 0)
    - COALESCE(month_refunds.refund_cents, 0) AS net_cents,
    COALESCE(month_sums.order_count, 0) AS order_count,
    COALESCE(new_customers.customer_count, 0) AS new_customers,
    COALESCE(month_sums.customer_count, 0)
    - COALESCE(new_customers.customer_count, 0) AS returning_customers
FROM months
LEFT JOIN month_sums
    ON months.month = month_sums.month
LEFT JOIN month_refunds
    ON months.month = month_refunds.month
LEFT JOIN new_customers
    ON months.month = new_customers.first_month
ORDER BY months.month;
