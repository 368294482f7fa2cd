-- Question: which orders refer to a user that does not exist?
-- Key: order_id.
-- Title: Every order has a user
-- Severity: error
-- The + 0 lets SQLite read the orders by the index of their users, so that it finds the
-- users in the order of their table; it sorts the few orders of no user.
WITH orphans AS (
    SELECT
        orders.order_id + 0 AS order_id,
        orders.user_id
    FROM orders
    LEFT JOIN users
        ON orders.user_id = users.user_id
    WHERE users.user_id IS NULL
)

SELECT
    orphans.order_id,
    orphans.user_id
FROM orphans
ORDER BY orphans.order_id;
