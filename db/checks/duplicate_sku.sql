-- Question: which SKUs belong to more than one product?
-- Key: sku.
-- Title: No two products share a SKU
-- Severity: error
SELECT
    products.sku,
    COUNT(*) AS product_count,
    MIN(products.product_id) AS first_product_id,
    MAX(products.product_id) AS last_product_id
FROM products
GROUP BY products.sku
HAVING COUNT(*) > 1
ORDER BY products.sku;
