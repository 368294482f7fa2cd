-- Question: which e-mail addresses cannot be one?
-- Key: user_id.
-- Title: Every e-mail address has one at sign, and something on both sides of it
-- Severity: error
SELECT
    users.user_id,
    users.email
FROM users
WHERE
    users.email NOT LIKE '_%@_%'
    OR users.email LIKE '%@%@%'
ORDER BY users.user_id;
