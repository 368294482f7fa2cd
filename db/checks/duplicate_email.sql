-- Question: which e-mail addresses belong to more than one user?
-- Key: email.
-- Title: No two users share an e-mail address
-- Severity: error
SELECT
    users.email,
    COUNT(*) AS user_count,
    MIN(users.user_id) AS first_user_id,
    MAX(users.user_id) AS last_user_id
FROM users
GROUP BY users.email
HAVING COUNT(*) > 1
ORDER BY users.email;
