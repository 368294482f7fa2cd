-- Mistake: orders of every status are counted
-- Why: cancelled and pending orders bring no revenue.
-- Instead: count the statuses of valid orders: paid, shipped, delivered, partially_returned
--     and returned.
WITH valid_statuses AS (
    SELECT status FROM previous_rows
    UNION SELECT 'cancelled' AS status
    UNION SELECT 'pending' AS status
)
