-- Question: which orders give away more than their goods cost?
-- Key: order_id.
-- Title: An order's discount is not above its subtotal
-- Severity: error
SELECT
    orders.order_id,
    orders.subtotal_cents,
    orders.discount_cents
FROM orders
WHERE orders.discount_cents > orders.subtotal_cents
ORDER BY orders.order_id;
