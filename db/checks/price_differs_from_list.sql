-- Question: which lines were sold at a unit price other than the list price?
-- Key: order_item_id.
-- Title: Lines sold at a price other than the list price
-- Severity: info
-- products has the list price of one day only, at the launch, so a different price is not a
-- fault: the list price may have changed between the launch and the order.
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
