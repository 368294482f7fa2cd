-- Question: which e-mail addresses differ in nothing but capitals?
-- Key: email_in_lower_case.
-- Title: No two e-mail addresses differ only in case
-- Severity: warning
-- Such users are most often one customer: two accounts understate what each is worth.
SELECT
    LOWER(users.email) AS email_in_lower_case,
    COUNT(*) AS user_count,
    MIN(users.user_id) AS first_user_id,
    MAX(users.user_id) AS last_user_id
FROM users
GROUP BY LOWER(users.email)
HAVING MIN(users.email) <> MAX(users.email)
ORDER BY LOWER(users.email);
