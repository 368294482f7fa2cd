-- Mistake: refunds are booked in the month of their order
-- Why: a refund then changes a month that was complete; the totals are right, the months
--     are not.
-- Instead: book a refund in the month in which it was paid.
WITH order_refunds AS (
    SELECT
        previous_rows.order_id,
        previous_rows.user_id,
        CAST(SUBSTR(orders.ordered_at, 1, 4) AS INTEGER) * 12
        + CAST(SUBSTR(orders.ordered_at, 6, 2) AS INTEGER) - 1 AS month_index,
        previous_rows.refund_cents
    FROM previous_rows
    INNER JOIN orders
        ON previous_rows.order_id = orders.order_id
)
