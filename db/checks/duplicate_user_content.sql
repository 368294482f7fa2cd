-- Question: which users repeat an earlier user: same name, place and second of sign-up?
-- Key: user_id.
-- Title: No user has the content of another one
-- Severity: warning
-- An export with two versions of a user, before and after a new address, or a form that was
-- sent twice gives the same person another number and another address.  Users who signed up
-- at 00:00:00 are not compared: their source has days only, and two people of one name may
-- sign up on one day.
-- Few users share their second, so only these are compared.
WITH repeated AS (
    SELECT users.signed_up_at
    FROM users
    GROUP BY users.signed_up_at
    HAVING COUNT(*) > 1 AND SUBSTR(users.signed_up_at, 12, 8) <> '00:00:00'
),

candidates AS (
    SELECT
        users.user_id,
        users.email,
        users.full_name,
        users.country_code,
        users.city,
        users.signed_up_at
    FROM users
    WHERE users.signed_up_at IN (
        SELECT repeated.signed_up_at
        FROM repeated
    )
),

numbered AS (
    SELECT
        candidates.user_id,
        candidates.email,
        candidates.full_name,
        candidates.signed_up_at,
        MIN(candidates.user_id) OVER (
            PARTITION BY
                candidates.signed_up_at,
                candidates.full_name,
                candidates.country_code,
                candidates.city
        ) AS first_user_id
    FROM candidates
)

SELECT
    numbered.user_id,
    numbered.first_user_id,
    numbered.email,
    numbered.full_name,
    numbered.signed_up_at
FROM numbered
WHERE numbered.user_id > numbered.first_user_id
ORDER BY numbered.user_id;
