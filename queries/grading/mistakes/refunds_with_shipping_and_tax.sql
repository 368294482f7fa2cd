-- Mistake: refunds are subtracted with their shipping and tax
-- Why: revenue contains no shipping and no tax, so paying them back does not lower it.
-- Instead: subtract the share of goods: the payment x goods / total of the order.
WITH refund_payments AS (
    SELECT
        orders.order_id,
        orders.user_id,
        CASE
            WHEN payments.processed_at < orders.ordered_at THEN orders.ordered_at
            ELSE payments.processed_at
        END AS counted_at,
        payments.amount_cents * orders.total_cents AS amount_times_goods,
        orders.total_cents
    FROM payments
    INNER JOIN orders
        ON payments.order_id = orders.order_id
    WHERE
        payments.kind = 'refund'
        AND payments.status = 'succeeded'
        AND payments.processed_at <= (SELECT as_of || 'T23:59:59Z' FROM as_of_dates)
        AND orders.order_id IN (SELECT order_id FROM previous_rows)
)
