-- Mistake: pending orders are counted
-- Why: a pending order is not paid yet, and may never be.
-- Instead: count the statuses of valid orders: paid, shipped, delivered, partially_returned
--     and returned.
WITH valid_statuses AS (
    SELECT status FROM previous_rows
    UNION SELECT 'pending' AS status
)
