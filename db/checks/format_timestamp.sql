-- Question: which timestamps are not in the calendar, or not in the required format?
-- Key: table_name, row_id.
-- Title: Every timestamp is a UTC time as YYYY-MM-DDTHH:MM:SSZ, events of 1900 to 2199
-- Severity: error
-- The loader accepts only events of these years; a product may be launched in any year.
-- Each part is checked alone, because the engines' date functions accept different texts.
-- Digits are replaced one by one, because the range from '0' to '9' depends on the collation.
WITH timestamps AS (
    SELECT
        'orders' AS table_name,
        orders.order_id AS row_id,
        orders.ordered_at AS happened_at
    FROM orders
    UNION ALL
    SELECT
        'payments' AS table_name,
        payments.payment_id AS row_id,
        payments.processed_at AS happened_at
    FROM payments
    UNION ALL
    SELECT
        'products' AS table_name,
        products.product_id AS row_id,
        products.launched_at AS happened_at
    FROM products
    UNION ALL
    SELECT
        'users' AS table_name,
        users.user_id AS row_id,
        users.signed_up_at AS happened_at
    FROM users
),

-- The pattern of a timestamp: every digit becomes 0.
patterns AS (
    SELECT
        timestamps.table_name,
        timestamps.row_id,
        timestamps.happened_at,
        REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(
            timestamps.happened_at,
            '1', '0'), '2', '0'), '3', '0'), '4', '0'), '5', '0'), '6', '0'), '7', '0'),
            '8', '0'), '9', '0') AS pattern
    FROM timestamps
),

-- The year of a timestamp with another pattern is NULL.
parts AS (
    SELECT
        patterns.table_name,
        patterns.row_id,
        patterns.happened_at,
        CASE
            WHEN patterns.pattern = '0000-00-00T00:00:00Z'
                THEN CAST(SUBSTR(patterns.happened_at, 1, 4) AS BIGINT)
        END AS year_number,
        SUBSTR(patterns.happened_at, 1, 4) AS year_text,
        SUBSTR(patterns.happened_at, 6, 2) AS month_text,
        SUBSTR(patterns.happened_at, 9, 2) AS day_text,
        SUBSTR(patterns.happened_at, 12, 2) AS hour_text,
        SUBSTR(patterns.happened_at, 15, 2) AS minute_text,
        SUBSTR(patterns.happened_at, 18, 2) AS second_text
    FROM patterns
)

SELECT
    parts.table_name,
    parts.row_id,
    parts.happened_at
FROM parts
WHERE
    parts.year_number IS NULL
    OR (
        parts.table_name <> 'products'
        AND parts.year_text NOT BETWEEN '1900' AND '2199'
    )
    OR parts.month_text NOT BETWEEN '01' AND '12'
    OR parts.day_text NOT BETWEEN '01' AND '31'
    OR parts.hour_text > '23'
    OR parts.minute_text > '59'
    OR parts.second_text > '59'
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
