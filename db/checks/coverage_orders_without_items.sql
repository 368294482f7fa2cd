-- Question: which orders have no items?
-- Key: order_id.
-- Title: Every order has at least one item
-- Severity: error
SELECT
    orders.order_id,
    orders.status,
    orders.total_cents
FROM orders
WHERE NOT EXISTS (
    SELECT 1
    FROM order_items
    WHERE order_items.order_id = orders.order_id
)
ORDER BY orders.order_id;
