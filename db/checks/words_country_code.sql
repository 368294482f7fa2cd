-- Question: which country codes are not of the form of ISO 3166-1 alpha-2?
-- Key: user_id.
-- Title: Every country code is two capital letters
-- Severity: error
SELECT
    users.user_id,
    users.country_code
FROM users
WHERE
    LENGTH(users.country_code) <> 2
    OR SUBSTR(users.country_code, 1, 1) NOT BETWEEN 'A' AND 'Z'
    OR SUBSTR(users.country_code, 2, 1) NOT BETWEEN 'A' AND 'Z'
ORDER BY users.user_id;
