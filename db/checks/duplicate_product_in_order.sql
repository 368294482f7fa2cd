-- Question: which orders list a product on more than one line?
-- Key: order_id, product_id.
-- Title: No order lists the same product twice
-- Severity: warning
SELECT
    order_items.order_id,
    order_items.product_id,
    COUNT(*) AS line_count
FROM order_items
GROUP BY order_items.order_id, order_items.product_id
HAVING COUNT(*) > 1
ORDER BY order_items.order_id, order_items.product_id;
