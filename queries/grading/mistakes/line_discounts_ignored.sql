-- Mistake: the discounts of order lines are ignored
-- Why: the customer paid less than quantity x unit price for these lines.
-- Instead: subtract the discounts of the lines, and that of the order.
WITH order_totals AS (
    SELECT
        previous_rows.order_id,
        previous_rows.user_id,
        previous_rows.ordered_at,
        previous_rows.month_index,
        previous_rows.unit_count,
        previous_rows.gross_cents,
        orders.discount_cents,
        previous_rows.cost_cents
    FROM previous_rows
    INNER JOIN orders
        ON previous_rows.order_id = orders.order_id
)
