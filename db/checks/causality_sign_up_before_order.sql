-- Question: which orders were placed before their user signed up?
-- Key: order_id.
-- Title: No order is placed before its user signs up
-- Severity: error
SELECT
    orders.order_id,
    orders.user_id,
    users.signed_up_at,
    orders.ordered_at
FROM orders
INNER JOIN users
    ON orders.user_id = users.user_id
WHERE orders.ordered_at < users.signed_up_at
ORDER BY orders.order_id;
