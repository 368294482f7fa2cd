-- Question: which items refer to an order that does not exist?
-- Key: order_item_id.
-- Title: Every item has an order
-- Severity: error
SELECT
    order_items.order_item_id,
    order_items.order_id
FROM order_items
LEFT JOIN orders
    ON order_items.order_id = orders.order_id
WHERE orders.order_id IS NULL
ORDER BY order_items.order_item_id;
