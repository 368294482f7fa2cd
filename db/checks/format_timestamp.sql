-- Question: which instants are not a time of the calendar, written as the contract says?
-- Key: table_name, row_id.
-- Title: Every instant is a UTC time of the calendar, as YYYY-MM-DDTHH:MM:SSZ
-- Severity: error
-- Part by part, because the engines' own date functions differ in what they forgive; in
-- whole words, because what lies between '0' and '9' is up to a collation.
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

-- The form of an instant: each digit as 0.
forms AS (
    SELECT
        instants.table_name,
        instants.row_id,
        instants.instant,
        REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(
            instants.instant,
            '1', '0'), '2', '0'), '3', '0'), '4', '0'), '5', '0'), '6', '0'), '7', '0'),
            '8', '0'), '9', '0') AS form
    FROM instants
),

-- Of an instant in another form the year stays NULL.
parts AS (
    SELECT
        forms.table_name,
        forms.row_id,
        forms.instant,
        CASE
            WHEN forms.form = '0000-00-00T00:00:00Z'
                THEN CAST(SUBSTR(forms.instant, 1, 4) AS BIGINT)
        END AS year_number,
        SUBSTR(forms.instant, 6, 2) AS month_text,
        SUBSTR(forms.instant, 9, 2) AS day_text,
        SUBSTR(forms.instant, 12, 2) AS hour_text,
        SUBSTR(forms.instant, 15, 2) AS minute_text,
        SUBSTR(forms.instant, 18, 2) AS second_text
    FROM forms
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
