-- Question: which orders of goods have no items?
-- Key: order_id.
-- Title: Every order of goods has at least one item
-- Severity: error
-- coverage_orders_without_goods finds the orders whose items are not needed for a figure.
SELECT
    orders.order_id,
    orders.status,
    orders.total_cents
FROM orders
WHERE
    orders.status <> 'cancelled'
    AND orders.subtotal_cents <> 0
    AND NOT EXISTS (
        SELECT 1
        FROM order_items
        WHERE order_items.order_id = orders.order_id
    )
ORDER BY orders.order_id;
