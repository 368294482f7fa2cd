-- Mistake: refunds are ignored
-- Why: money that was paid back is not revenue.
-- Instead: subtract each succeeded refund of a valid order.
WITH order_refunds AS (
    SELECT * FROM previous_rows
    WHERE FALSE
)
