-- Question: how many customers and how much revenue does each channel bring?
-- Grain: one row per channel that has a user.
-- Title: Acquisition channels
-- Gross, discount, refund and net are defined as in revenue_by_month, over all months.
-- Everything but the column is the same as in countries.sql.  The CTEs up to refund_sums are those
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

channel_users AS (
    SELECT
        users.acquisition_channel,
        COUNT(*) AS user_count
    FROM users
    GROUP BY users.acquisition_channel
),

channel_sums AS (
    SELECT
        users.acquisition_channel,
        COUNT(*) AS customer_count,
        SUM(customer_sums.order_count) AS order_count,
        SUM(customer_sums.gross_cents) AS gross_cents,
        SUM(customer_sums.line_discount_cents) AS line_discount_cents,
        SUM(customer_sums.order_discount_cents) AS order_discount_cents
    FROM customer_sums
    INNER JOIN users
        ON customer_sums.user_id = users.user_id
    GROUP BY users.acquisition_channel
),

channel_refunds AS (
    SELECT
        users.acquisition_channel,
        SUM(refund_sums.refund_cents) AS refund_cents
    FROM refund_sums
    INNER JOIN users
        ON refund_sums.user_id = users.user_id
    GROUP BY users.acquisition_channel
)

SELECT
    channel_users.acquisition_channel,
    channel_users.user_count,
    COALESCE(channel_sums.customer_count, 0) AS customer_count,
    COALESCE(channel_sums.order_count, 0) AS order_count,
    COALESCE(channel_sums.gross_cents, 0) AS gross_cents,
    COALESCE(channel_sums.line_discount_cents, 0)
    + COALESCE(channel_sums.order_discount_cents, 0) AS discount_cents,
    COALESCE(channel_refunds.refund_cents, 0) AS refund_cents,
    COALESCE(channel_sums.gross_cents, 0)
    - COALESCE(channel_sums.line_discount_cents, 0)
    - COALESCE(channel_sums.order_discount_cents, 0)
    - COALESCE(channel_refunds.refund_cents, 0) AS net_cents
FROM channel_users
LEFT JOIN channel_sums
    ON channel_users.acquisition_channel = channel_sums.acquisition_channel
LEFT JOIN channel_refunds
    ON channel_users.acquisition_channel = channel_refunds.acquisition_channel
ORDER BY net_cents DESC, channel_users.acquisition_channel;
