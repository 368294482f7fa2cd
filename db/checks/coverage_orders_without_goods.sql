-- Question: which orders without items are cancelled, or of shipping alone?
-- Key: order_id.
-- Title: Orders without items are neither cancelled nor of shipping alone
-- Severity: warning
-- Many shops delete the lines of a cancelled order, or sell a later shipment as an order.
-- No revenue is missing.  coverage_orders_without_items finds all other orders.
SELECT
    orders.order_id,
    orders.status,
    orders.subtotal_cents,
    orders.total_cents
FROM orders
WHERE
    (orders.status = 'cancelled' OR orders.subtotal_cents = 0)
    AND NOT EXISTS (
        SELECT 1
        FROM order_items
        WHERE order_items.order_id = orders.order_id
    )
ORDER BY orders.order_id;
