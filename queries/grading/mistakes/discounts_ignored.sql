-- Mistake: all discounts are ignored
-- Why: quantity x unit price is more than what the shop sold for.
-- Instead: subtract the discounts of the lines, and that of the order.
WITH order_totals AS (
    SELECT
        order_id,
        user_id,
        ordered_at,
        month_index,
        unit_count,
        gross_cents,
        0 AS discount_cents,
        cost_cents
    FROM previous_rows
)
