-- Question: which e-mail addresses are another user's address with a tag after a plus sign?
-- Key: user_id.
-- Title: No e-mail address is another one with a tag
-- Severity: warning
-- Mail to ann+shop@example.com arrives at ann@example.com, so both users are one customer.
-- Addresses that differ in dots are not compared: a.smith and asmith are often two people.
WITH ones AS (
    SELECT 0 AS digit
    UNION ALL
    SELECT 1 AS digit
    UNION ALL
    SELECT 2 AS digit
    UNION ALL
    SELECT 3 AS digit
    UNION ALL
    SELECT 4 AS digit
    UNION ALL
    SELECT 5 AS digit
    UNION ALL
    SELECT 6 AS digit
    UNION ALL
    SELECT 7 AS digit
    UNION ALL
    SELECT 8 AS digit
    UNION ALL
    SELECT 9 AS digit
),

tens AS (
    SELECT ones.digit * 10 AS digit
    FROM ones
),

tagged_users AS (
    SELECT
        users.user_id,
        users.email
    FROM users
    WHERE users.email LIKE '_%+%@%'
),

-- Where the plus sign and the at sign are, in the first 100 characters.
positions AS (
    SELECT
        tagged_users.user_id,
        tagged_users.email,
        MIN(
            CASE
                WHEN SUBSTR(tagged_users.email, tens.digit + ones.digit, 1) = '+'
                    THEN tens.digit + ones.digit
            END
        ) AS plus_position,
        MIN(
            CASE
                WHEN SUBSTR(tagged_users.email, tens.digit + ones.digit, 1) = '@'
                    THEN tens.digit + ones.digit
            END
        ) AS at_position
    FROM tagged_users
    CROSS JOIN tens
    CROSS JOIN ones
    WHERE tens.digit + ones.digit > 0
    GROUP BY tagged_users.user_id, tagged_users.email
),

tagged AS (
    SELECT
        positions.user_id,
        positions.email,
        LOWER(
            SUBSTR(positions.email, 1, positions.plus_position - 1)
            || SUBSTR(positions.email, positions.at_position)
        ) AS plain_email
    FROM positions
),

-- A second tag of the same address is found too.
addresses AS (
    SELECT
        users.user_id,
        LOWER(users.email) AS plain_email
    FROM users
    WHERE LOWER(users.email) IN (
        SELECT tagged.plain_email
        FROM tagged
    )
    UNION ALL
    SELECT
        tagged.user_id,
        tagged.plain_email
    FROM tagged
)

SELECT
    tagged.user_id,
    tagged.email,
    MIN(addresses.user_id) AS other_user_id
FROM tagged
INNER JOIN addresses
    ON tagged.plain_email = addresses.plain_email
WHERE addresses.user_id <> tagged.user_id
GROUP BY tagged.user_id, tagged.email
ORDER BY tagged.user_id;
