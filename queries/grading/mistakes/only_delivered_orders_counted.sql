-- Mistake: only delivered orders are counted
-- Why: paid and shipped orders are sales too, and so are those returned later.
-- Instead: count the statuses of valid orders: paid, shipped, delivered, partially_returned
--     and returned.
WITH valid_statuses AS (
    SELECT status FROM previous_rows
    WHERE status = 'delivered'
)
