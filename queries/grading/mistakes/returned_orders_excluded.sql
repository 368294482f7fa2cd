-- Mistake: returned and partially returned orders are excluded
-- Why: the customer bought and is active in that month; the refund is subtracted when it is
--     paid.
-- Instead: count these orders, and subtract their refunds.
WITH valid_statuses AS (
    SELECT status FROM previous_rows
    WHERE status NOT IN ('returned', 'partially_returned')
)
