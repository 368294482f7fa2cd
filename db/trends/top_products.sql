-- Question: which ten products have the highest gross revenue?
-- Grain: one row per product, the ten with the highest gross.
-- Title: Top products by gross revenue
-- Without the + 0, SQLite reads the lines by the index of their products, from all over the
-- table, to save a sort: that takes three times as long.
WITH valid_lines AS (
    SELECT
        order_items.product_id + 0 AS product_id,
        order_items.quantity,
        order_items.quantity * order_items.unit_price_cents AS gross_cents,
        order_items.discount_cents
    FROM order_items
    INNER JOIN orders
        ON order_items.order_id = orders.order_id
    WHERE orders.status IN (
        'paid', 'shipped', 'delivered', 'partially_returned', 'returned'
    )
),

product_sales AS (
    SELECT
        valid_lines.product_id,
        SUM(valid_lines.quantity) AS unit_count,
        SUM(valid_lines.gross_cents) AS gross_cents,
        SUM(valid_lines.discount_cents) AS line_discount_cents
    FROM valid_lines
    GROUP BY valid_lines.product_id
)

SELECT
    products.product_id,
    products.sku,
    products.product_name,
    products.category,
    product_sales.unit_count,
    product_sales.gross_cents,
    product_sales.line_discount_cents
FROM product_sales
INNER JOIN products
    ON product_sales.product_id = products.product_id
ORDER BY product_sales.gross_cents DESC, products.product_id
LIMIT 10;
