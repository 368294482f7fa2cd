-- Question: which lines were sold at another unit price than today's list price?
-- Key: order_item_id.
-- Title: Lines at another price than the list price
-- Severity: info
-- The list holds today's price only, so a price that has moved since is no fault.
SELECT
    order_items.order_item_id,
    order_items.order_id,
    order_items.product_id,
    order_items.unit_price_cents,
    products.price_cents
FROM order_items
INNER JOIN products
    ON order_items.product_id = products.product_id
WHERE order_items.unit_price_cents <> products.price_cents
ORDER BY order_items.order_item_id;
