-- Mistake: cancelled orders are counted
-- Why: a cancelled order was never delivered, and what was paid was paid back.
-- Instead: count the statuses of valid orders: paid, shipped, delivered, partially_returned
--     and returned.
WITH valid_statuses AS (
    SELECT status FROM previous_rows
    UNION SELECT 'cancelled' AS status
)
