-- Question: which orders refer to a user that does not exist?
-- Key: order_id.
-- Title: Every order has a user
-- Severity: error
SELECT
    orders.order_id,
    orders.user_id
FROM orders
LEFT JOIN users
    ON orders.user_id = users.user_id
WHERE users.user_id IS NULL
ORDER BY orders.order_id;
