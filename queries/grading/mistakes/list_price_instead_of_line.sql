-- Mistake: revenue is computed with today's list price instead of the price of the line
-- Why: prices change; the line has the price at which the unit was sold.
-- Instead: take unit_price_cents of order_items, not price_cents of products.
WITH order_totals AS (
    SELECT
        previous_rows.order_id,
        previous_rows.user_id,
        previous_rows.ordered_at,
        previous_rows.month_index,
        previous_rows.unit_count,
        COALESCE(SUM(order_items.quantity * products.price_cents), 0) AS gross_cents,
        previous_rows.discount_cents,
        previous_rows.cost_cents
    FROM previous_rows
    LEFT JOIN order_items
        ON previous_rows.order_id = order_items.order_id
    LEFT JOIN products
        ON order_items.product_id = products.product_id
    GROUP BY previous_rows.order_id
)
