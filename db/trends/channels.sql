-- Question: how many customers and how much revenue does each channel bring?
-- Grain: one row per channel that has a user.
-- Title: Acquisition channels
-- Gross, discount, refund and net are defined as in revenue_by_month, over all months.
-- Everything but the column is the same as in countries.sql.
WITH valid_orders AS (
    SELECT
        orders.order_id,
        orders.user_id,
        users.acquisition_channel,
        orders.discount_cents,
        orders.subtotal_cents - orders.discount_cents AS goods_cents,
        orders.total_cents
    FROM orders
    INNER JOIN users
        ON orders.user_id = users.user_id
    WHERE orders.status IN (
        'paid', 'shipped', 'delivered', 'partially_returned', 'returned'
    )
),

channel_users AS (
    SELECT
        users.acquisition_channel,
        COUNT(*) AS user_count
    FROM users
    GROUP BY users.acquisition_channel
),

channel_orders AS (
    SELECT
        valid_orders.acquisition_channel,
        COUNT(*) AS order_count,
        COUNT(DISTINCT valid_orders.user_id) AS customer_count,
        SUM(valid_orders.discount_cents) AS discount_cents
    FROM valid_orders
    GROUP BY valid_orders.acquisition_channel
),

channel_items AS (
    SELECT
        valid_orders.acquisition_channel,
        SUM(order_items.quantity * order_items.unit_price_cents) AS gross_cents,
        SUM(order_items.discount_cents) AS discount_cents
    FROM valid_orders
    INNER JOIN order_items
        ON valid_orders.order_id = order_items.order_id
    GROUP BY valid_orders.acquisition_channel
),

refunds AS (
    SELECT
        valid_orders.acquisition_channel,
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

channel_refunds AS (
    SELECT
        refunds.acquisition_channel,
        SUM(
            CAST(
                (refunds.weighted_cents - refunds.weighted_cents % refunds.total_cents)
                / refunds.total_cents
                + 0.25 AS BIGINT
            )
        ) AS refund_cents
    FROM refunds
    GROUP BY refunds.acquisition_channel
)

SELECT
    channel_users.acquisition_channel,
    channel_users.user_count,
    COALESCE(channel_orders.customer_count, 0) AS customer_count,
    COALESCE(channel_orders.order_count, 0) AS order_count,
    COALESCE(channel_items.gross_cents, 0) AS gross_cents,
    COALESCE(channel_items.discount_cents, 0)
    + COALESCE(channel_orders.discount_cents, 0) AS discount_cents,
    COALESCE(channel_refunds.refund_cents, 0) AS refund_cents,
    COALESCE(channel_items.gross_cents, 0)
    - COALESCE(channel_items.discount_cents, 0)
    - COALESCE(channel_orders.discount_cents, 0)
    - COALESCE(channel_refunds.refund_cents, 0) AS net_cents
FROM channel_users
LEFT JOIN channel_orders
    ON channel_users.acquisition_channel = channel_orders.acquisition_channel
LEFT JOIN channel_items
    ON channel_users.acquisition_channel = channel_items.acquisition_channel
LEFT JOIN channel_refunds
    ON channel_users.acquisition_channel = channel_refunds.acquisition_channel
ORDER BY net_cents DESC, channel_users.acquisition_channel;
