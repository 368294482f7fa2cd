-- Question: which e-mail addresses differ only in upper and lower case?
-- Key: email_in_lower_case.
-- Title: No two e-mail addresses differ only in case
-- Severity: warning
-- Such users are usually one customer, whose value is divided between two accounts.
-- Few texts occur twice, so only for these the addresses are compared.
WITH repeated AS (
    SELECT LOWER(users.email) AS email_in_lower_case
    FROM users
    GROUP BY LOWER(users.email)
    HAVING COUNT(*) > 1
),

emails AS (
    SELECT
        users.user_id,
        users.email,
        LOWER(users.email) AS email_in_lower_case
    FROM users
    WHERE LOWER(users.email) IN (
        SELECT repeated.email_in_lower_case
        FROM repeated
    )
)

SELECT
    emails.email_in_lower_case,
    COUNT(*) AS user_count,
    MIN(emails.user_id) AS first_user_id,
    MAX(emails.user_id) AS last_user_id
FROM emails
GROUP BY emails.email_in_lower_case
HAVING MIN(emails.email) <> MAX(emails.email)
ORDER BY emails.email_in_lower_case;
