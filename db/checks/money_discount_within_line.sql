-- Question: which lines have a discount above quantity times unit price?
-- Key: order_item_id.
-- Title: The discount of a line is at most quantity times unit price
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
