-- Question: which orders have a status that the contract does not know?
-- Key: order_id.
-- Title: Every order status is a known word
-- Severity: error
SELECT
    orders.order_id,
    orders.status
FROM orders
WHERE orders.status NOT IN (
    'pending',
    'paid',
    'shipped',
    'delivered',
    'partially_returned',
    'returned',
    'cancelled'
)
ORDER BY orders.order_id;
