-- Question: which lines give away more than they cost?
-- Key: order_item_id.
-- Title: A line's discount is not above its price
-- Severity: error
SELECT
    order_items.order_item_id,
    order_items.order_id,
    order_items.quantity,
    order_items.unit_price_cents,
    order_items.discount_cents
FROM order_items
WHERE order_items.discount_cents > order_items.quantity * order_items.unit_price_cents
ORDER BY order_items.order_item_id;
