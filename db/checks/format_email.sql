-- Question: which e-mail addresses are not in the format of an address?
-- Key: user_id.
-- Title: Every e-mail address has one at sign with text on both sides
-- Severity: error
SELECT
    users.user_id,
    users.email
FROM users
WHERE
    users.email NOT LIKE '_%@_%'
    OR users.email LIKE '%@%@%'
ORDER BY users.user_id;
