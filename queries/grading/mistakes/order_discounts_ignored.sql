-- Mistake: the discounts of orders are ignored
-- Why: a coupon on the order lowers what its lines bring.
-- Instead: subtract the discounts of the lines, and that of the order.
WITH order_totals AS (
    SELECT
        previous_rows.order_id,
        previous_rows.user_id,
        previous_rows.ordered_at,
        previous_rows.month_index,
        previous_rows.unit_count,
        previous_rows.gross_cents,
        previous_rows.discount_cents - orders.discount_cents AS discount_cents,
        previous_rows.cost_cents
    FROM previous_rows
    INNER JOIN orders
        ON previous_rows.order_id = orders.order_id
)
