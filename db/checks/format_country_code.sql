-- Question: which country codes are not in the format of ISO 3166-1 alpha-2?
-- Key: user_id.
-- Title: Every country code is two capital letters
-- Severity: error
-- The letters are listed, because the range from 'A' to 'Z' depends on the collation.
SELECT
    users.user_id,
    users.country_code
FROM users
WHERE
    LENGTH(users.country_code) <> 2
    OR SUBSTR(users.country_code, 1, 1) NOT IN (
        'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'I', 'J', 'K', 'L', 'M',
        'N', 'O', 'P', 'Q', 'R', 'S', 'T', 'U', 'V', 'W', 'X', 'Y', 'Z'
    )
    OR SUBSTR(users.country_code, 2, 1) NOT IN (
        'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'I', 'J', 'K', 'L', 'M',
        'N', 'O', 'P', 'Q', 'R', 'S', 'T', 'U', 'V', 'W', 'X', 'Y', 'Z'
    )
ORDER BY users.user_id;
