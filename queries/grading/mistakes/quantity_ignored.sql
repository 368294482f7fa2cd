-- Mistake: the quantity of a line is ignored
-- Why: a line of three units brings three times its unit price.
-- Instead: multiply the unit price by the quantity.
WITH order_totals AS (
    SELECT
        previous_rows.order_id,
        previous_rows.user_id,
        previous_rows.ordered_at,
        previous_rows.month_index,
        COUNT(order_items.order_item_id) AS unit_count,
        COALESCE(SUM(order_items.unit_price_cents), 0) AS gross_cents,
        previous_rows.discount_cents,
        COALESCE(SUM(products.cost_cents), 0) AS cost_cents
    FROM previous_rows
    LEFT JOIN order_items
        ON previous_rows.order_id = order_items.order_id
    LEFT JOIN products
        ON order_items.product_id = products.product_id
    GROUP BY previous_rows.order_id
)
