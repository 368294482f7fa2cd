-- Question: which orders have a discount above their subtotal?
-- Key: order_id.
-- Title: The discount of an order is at most its subtotal
-- Severity: error
SELECT
    orders.order_id,
    orders.subtotal_cents,
    orders.discount_cents
FROM orders
WHERE orders.discount_cents > orders.subtotal_cents
ORDER BY orders.order_id;
