-- Question: which items refer to a product that does not exist?
-- Key: order_item_id.
-- Title: Every item has a product
-- Severity: error
SELECT
    order_items.order_item_id,
    order_items.product_id
FROM order_items
LEFT JOIN products
    ON order_items.product_id = products.product_id
WHERE products.product_id IS NULL
ORDER BY order_items.order_item_id;
