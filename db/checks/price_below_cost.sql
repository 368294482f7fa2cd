-- Question: which lines were sold for less than the cost of their goods?
-- Key: order_item_id.
-- Title: Lines sold below cost
-- Severity: info
SELECT
    order_items.order_item_id,
    order_items.order_id,
    order_items.product_id,
    order_items.line_total_cents,
    order_items.quantity * products.cost_cents AS line_cost_cents
FROM order_items
INNER JOIN products
    ON order_items.product_id = products.product_id
WHERE order_items.line_total_cents < order_items.quantity * products.cost_cents
ORDER BY order_items.order_item_id;
