-- Question: which instants are not a time of the calendar, written as the contract says?
-- Key: table_name, row_id.
-- Title: Every instant is a UTC time of the calendar, as YYYY-MM-DDTHH:MM:SSZ
-- Severity: error
-- Digit by digit, because the engines' own date functions differ in what they forgive.
WITH instants AS (
    SELECT
        'orders' AS table_name,
        orders.order_id AS row_id,
        orders.ordered_at AS instant
    FROM orders
    UNION ALL
    SELECT
        'payments' AS table_name,
        payments.payment_id AS row_id,
        payments.processed_at AS instant
    FROM payments
    UNION ALL
    SELECT
        'products' AS table_name,
        products.product_id AS row_id,
        products.launched_at AS instant
    FROM products
    UNION ALL
    SELECT
        'users' AS table_name,
        users.user_id AS row_id,
        users.signed_up_at AS instant
    FROM users
),

-- Of an instant in another form the year stays NULL.
parts AS (
    SELECT
        instants.table_name,
        instants.row_id,
        instants.instant,
        CASE
            WHEN
                instants.instant LIKE '____-__-__T__:__:__Z'
                AND SUBSTR(instants.instant, 11, 1) = 'T'
                AND SUBSTR(instants.instant, 20, 1) = 'Z'
                AND SUBSTR(instants.instant, 1, 1) BETWEEN '0' AND '9'
                AND SUBSTR(instants.instant, 2, 1) BETWEEN '0' AND '9'
                AND SUBSTR(instants.instant, 3, 1) BETWEEN '0' AND '9'
                AND SUBSTR(instants.instant, 4, 1) BETWEEN '0' AND '9'
                AND SUBSTR(instants.instant, 6, 1) BETWEEN '0' AND '1'
                AND SUBSTR(instants.instant, 7, 1) BETWEEN '0' AND '9'
                AND SUBSTR(instants.instant, 9, 1) BETWEEN '0' AND '3'
                AND SUBSTR(instants.instant, 10, 1) BETWEEN '0' AND '9'
                AND SUBSTR(instants.instant, 12, 1) BETWEEN '0' AND '2'
                AND SUBSTR(instants.instant, 13, 1) BETWEEN '0' AND '9'
                AND SUBSTR(instants.instant, 15, 1) BETWEEN '0' AND '5'
                AND SUBSTR(instants.instant, 16, 1) BETWEEN '0' AND '9'
                AND SUBSTR(instants.instant, 18, 1) BETWEEN '0' AND '5'
                AND SUBSTR(instants.instant, 19, 1) BETWEEN '0' AND '9'
                THEN CAST(SUBSTR(instants.instant, 1, 4) AS BIGINT)
        END AS year_number,
        SUBSTR(instants.instant, 6, 2) AS month_text,
        SUBSTR(instants.instant, 9, 2) AS day_text,
        SUBSTR(instants.instant, 12, 2) AS hour_text
    FROM instants
)

SELECT
    parts.table_name,
    parts.row_id,
    parts.instant
FROM parts
WHERE
    parts.year_number IS NULL
    OR parts.month_text NOT BETWEEN '01' AND '12'
    OR parts.day_text NOT BETWEEN '01' AND '31'
    OR parts.hour_text > '23'
    OR (parts.day_text = '31' AND parts.month_text IN ('04', '06', '09', '11'))
    OR (parts.day_text > '29' AND parts.month_text = '02')
    OR (
        parts.day_text = '29'
        AND parts.month_text = '02'
        AND (
            parts.year_number % 4 <> 0
            OR (parts.year_number % 100 = 0 AND parts.year_number % 400 <> 0)
        )
    )
ORDER BY parts.table_name, parts.row_id;
