-- Question: which users have never ordered?
-- Key: user_id.
-- Title: Users without an order
-- Severity: info
SELECT
    users.user_id,
    users.signed_up_at
FROM users
WHERE NOT EXISTS (
    SELECT 1
    FROM orders
    WHERE orders.user_id = users.user_id
)
ORDER BY users.user_id;
