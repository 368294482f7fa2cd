-- Question: which lines have a total other than quantity times unit price minus discount?
-- Key: order_item_id.
-- Title: The total of a line is quantity times unit price minus discount
-- Severity: error
SELECT
    order_items.order_item_id,
    order_items.order_id,
    order_items.quantity,
    order_items.unit_price_cents,
    order_items.discount_cents,
    order_items.line_total_cents
FROM order_items
WHERE
    order_items.line_total_cents
    <> order_items.quantity * order_items.unit_price_cents - order_items.discount_cents
ORDER BY order_items.order_item_id;
