-- Question: which items were ordered before their product was launched?
-- Key: order_item_id.
-- Title: No product is ordered before its launch
-- Severity: error
SELECT
    order_items.order_item_id,
    order_items.order_id,
    order_items.product_id,
    products.launched_at,
    orders.ordered_at
FROM order_items
INNER JOIN orders
    ON order_items.order_id = orders.order_id
INNER JOIN products
    ON order_items.product_id = products.product_id
WHERE products.launched_at > orders.ordered_at
ORDER BY order_items.order_item_id;
