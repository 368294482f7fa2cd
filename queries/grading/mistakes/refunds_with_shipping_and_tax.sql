-- Mistake: refunds are subtracted with their shipping and tax
-- Why: revenue contains no shipping and no tax, so paying them back does not lower it.
-- Instead: subtract the share of goods: the payment x goods / total of the order.
WITH refund_payments AS (
    SELECT
        previous_rows.order_id,
        previous_rows.user_id,
        previous_rows.counted_at,
        previous_rows.amount_times_goods
        / NULLIF(orders.subtotal_cents - orders.discount_cents, 0)
        * previous_rows.total_cents AS amount_times_goods,
        previous_rows.total_cents
    FROM previous_rows
    INNER JOIN orders
        ON previous_rows.order_id = orders.order_id
)
