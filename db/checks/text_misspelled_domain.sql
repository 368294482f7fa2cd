-- Question: which e-mail addresses have a common domain with two letters exchanged?
-- Key: user_id.
-- Title: No e-mail domain is a common one with two letters exchanged
-- Severity: warning
-- Mail to ann@gmial.com does not arrive at ann@gmail.com.  The common domain has at least
-- 100 users, and 50 times as many as the other one.  Other typing errors are not compared,
-- because a letter less or another letter is often a domain of its own: mail.com and
-- ymail.com are no errors for gmail.com.
WITH limits AS (
    SELECT
        100 AS fewest_users,
        50 AS times_as_many
),

ones AS (
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

-- The domain with blanks before it, 40 characters: the last ones of the address, in which
-- 40 blanks replace the at sign.
user_domains AS (
    SELECT
        users.user_id,
        SUBSTR(
            REPLACE(users.email, '@', '                                        '),
            LENGTH(users.email)
        ) AS domain
    FROM users
),

domains AS (
    SELECT
        user_domains.domain,
        COUNT(*) AS user_count
    FROM user_domains
    GROUP BY user_domains.domain
),

-- Each common domain with two neighbouring characters exchanged, in every place.
exchanged AS (
    SELECT
        domains.domain,
        domains.user_count,
        SUBSTR(domains.domain, 1, 10 * tens.digit + ones.digit)
        || SUBSTR(domains.domain, 10 * tens.digit + ones.digit + 2, 1)
        || SUBSTR(domains.domain, 10 * tens.digit + ones.digit + 1, 1)
        || SUBSTR(domains.domain, 10 * tens.digit + ones.digit + 3) AS exchanged_domain
    FROM domains
    CROSS JOIN limits
    CROSS JOIN ones AS tens
    CROSS JOIN ones
    WHERE
        domains.user_count >= limits.fewest_users
        AND 10 * tens.digit + ones.digit + 2 <= LENGTH(domains.domain)
),

misspelled AS (
    SELECT
        domains.domain,
        MIN(exchanged.domain) AS common_domain
    FROM exchanged
    CROSS JOIN limits
    INNER JOIN domains
        ON exchanged.exchanged_domain = domains.domain
    WHERE domains.user_count * limits.times_as_many <= exchanged.user_count
    GROUP BY domains.domain
)

SELECT
    users.user_id,
    users.email,
    LTRIM(misspelled.common_domain) AS common_domain
FROM misspelled
INNER JOIN user_domains
    ON misspelled.domain = user_domains.domain
INNER JOIN users
    ON user_domains.user_id = users.user_id
ORDER BY users.user_id;
