-- Question: which orders have a status that schema.sql does not allow?
-- Key: order_id.
-- Title: Every order has an allowed status
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
