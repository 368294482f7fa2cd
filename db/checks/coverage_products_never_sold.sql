-- Question: which products were never ordered?
-- Key: product_id.
-- Title: Products that were never ordered
-- Severity: info
SELECT
    products.product_id,
    products.sku,
    products.product_name
FROM products
WHERE NOT EXISTS (
    SELECT 1
    FROM order_items
    WHERE order_items.product_id = products.product_id
)
ORDER BY products.product_id;
