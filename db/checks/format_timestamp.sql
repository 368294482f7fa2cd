-- Question: which timestamps are not in the calendar, or not in the required format?
-- Key: table_name, row_id.
-- Title: Every timestamp is a UTC time as YYYY-MM-DDTHH:MM:SSZ, events of 1900 to 2199
-- Severity: error
-- The loader accepts only events of these years; a product may be launched in any year.
-- Each part is checked alone, because the engines' date functions accept different texts.
-- Digits are replaced one by one, because the range from '0' to '9' depends on the collation.
-- Many rows share a date and hour, many share minutes and seconds: the format of each part
-- is checked once for each different text, which takes a third of the time.
WITH table_hours AS (
    SELECT DISTINCT
        'event' AS kind,
        SUBSTR(orders.ordered_at, 1, 13) AS hour_text
    FROM orders
    UNION ALL
    SELECT DISTINCT
        'event' AS kind,
        SUBSTR(payments.processed_at, 1, 13) AS hour_text
    FROM payments
    UNION ALL
    SELECT DISTINCT
        'launch' AS kind,
        SUBSTR(products.launched_at, 1, 13) AS hour_text
    FROM products
    UNION ALL
    SELECT DISTINCT
        'event' AS kind,
        SUBSTR(users.signed_up_at, 1, 13) AS hour_text
    FROM users
),

hours AS (
    SELECT DISTINCT
        table_hours.kind,
        table_hours.hour_text
    FROM table_hours
),

-- NULL has no parts, and those of a text with a NUL character are not the complete text.
minutes AS (
    SELECT DISTINCT
        SUBSTR(orders.ordered_at, 14) AS minute_text,
        CASE
            WHEN SUBSTR(orders.ordered_at, 1, 20) = orders.ordered_at THEN 1
            ELSE 0
        END AS is_complete
    FROM orders
    UNION
    SELECT DISTINCT
        SUBSTR(payments.processed_at, 14) AS minute_text,
        CASE
            WHEN SUBSTR(payments.processed_at, 1, 20) = payments.processed_at THEN 1
            ELSE 0
        END AS is_complete
    FROM payments
    UNION
    SELECT DISTINCT
        SUBSTR(products.launched_at, 14) AS minute_text,
        CASE
            WHEN SUBSTR(products.launched_at, 1, 20) = products.launched_at THEN 1
            ELSE 0
        END AS is_complete
    FROM products
    UNION
    SELECT DISTINCT
        SUBSTR(users.signed_up_at, 14) AS minute_text,
        CASE
            WHEN SUBSTR(users.signed_up_at, 1, 20) = users.signed_up_at THEN 1
            ELSE 0
        END AS is_complete
    FROM users
),

-- A date is of an event or of a launch; hours and minutes are those of both.
texts AS (
    SELECT
        hours.kind,
        SUBSTR(hours.hour_text, 1, 10) AS part_text
    FROM hours
    UNION
    SELECT
        'hour' AS kind,
        SUBSTR(hours.hour_text, 11) AS part_text
    FROM hours
    UNION
    SELECT
        'minute' AS kind,
        minutes.minute_text AS part_text
    FROM minutes
),

-- The pattern of a text: every digit becomes 0.
patterns AS (
    SELECT
        texts.kind,
        texts.part_text,
        REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(
            texts.part_text,
            '1', '0'), '2', '0'), '3', '0'), '4', '0'), '5', '0'), '6', '0'), '7', '0'),
            '8', '0'), '9', '0') AS pattern
    FROM texts
),

-- The year of a text with another pattern is NULL.
parts AS (
    SELECT
        patterns.kind,
        patterns.part_text AS date_text,
        CASE
            WHEN patterns.pattern = '0000-00-00'
                THEN CAST(SUBSTR(patterns.part_text, 1, 4) AS BIGINT)
        END AS year_number,
        SUBSTR(patterns.part_text, 1, 4) AS year_text,
        SUBSTR(patterns.part_text, 6, 2) AS month_text,
        SUBSTR(patterns.part_text, 9, 2) AS day_text
    FROM patterns
    WHERE patterns.kind IN ('event', 'launch')
),

wrong_dates AS (
    SELECT
        parts.kind,
        parts.date_text
    FROM parts
    WHERE
        parts.year_number IS NULL
        OR (parts.kind = 'event' AND parts.year_text NOT BETWEEN '1900' AND '2199')
        OR parts.month_text NOT BETWEEN '01' AND '12'
        OR parts.day_text NOT BETWEEN '01' AND '31'
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
),

wrong_day_hours AS (
    SELECT patterns.part_text AS day_hour_text
    FROM patterns
    WHERE
        patterns.kind = 'hour'
        AND (patterns.pattern <> 'T00' OR SUBSTR(patterns.part_text, 2) > '23')
),

wrong_minutes AS (
    SELECT patterns.part_text AS minute_text
    FROM patterns
    WHERE
        patterns.kind = 'minute'
        AND (
            patterns.pattern <> ':00:00Z'
            OR SUBSTR(patterns.part_text, 2, 2) > '59'
            OR SUBSTR(patterns.part_text, 5, 2) > '59'
        )
),

-- One row if a text is wrong; else none, and the rows of the tables are not read again.
wrong_texts AS (
    SELECT 1 AS is_found
    FROM wrong_dates
    UNION
    SELECT 1 AS is_found
    FROM wrong_day_hours
    UNION
    SELECT 1 AS is_found
    FROM wrong_minutes
    UNION
    SELECT 1 AS is_found
    FROM minutes
    WHERE minutes.is_complete = 0
),

faults AS (
    SELECT
        'orders' AS table_name,
        orders.order_id AS row_id,
        orders.ordered_at AS happened_at
    FROM wrong_texts
    CROSS JOIN orders
    WHERE
        SUBSTR(orders.ordered_at, 1, 10) IN (
            SELECT wrong_dates.date_text
            FROM wrong_dates
            WHERE wrong_dates.kind = 'event'
        )
        OR SUBSTR(orders.ordered_at, 11, 3) IN (
            SELECT wrong_day_hours.day_hour_text
            FROM wrong_day_hours
        )
        OR SUBSTR(orders.ordered_at, 14) IN (
            SELECT wrong_minutes.minute_text
            FROM wrong_minutes
        )
        OR (SUBSTR(orders.ordered_at, 1, 20) = orders.ordered_at) IS NOT TRUE
    UNION ALL
    SELECT
        'payments' AS table_name,
        payments.payment_id AS row_id,
        payments.processed_at AS happened_at
    FROM wrong_texts
    CROSS JOIN payments
    WHERE
        SUBSTR(payments.processed_at, 1, 10) IN (
            SELECT wrong_dates.date_text
            FROM wrong_dates
            WHERE wrong_dates.kind = 'event'
        )
        OR SUBSTR(payments.processed_at, 11, 3) IN (
            SELECT wrong_day_hours.day_hour_text
            FROM wrong_day_hours
        )
        OR SUBSTR(payments.processed_at, 14) IN (
            SELECT wrong_minutes.minute_text
            FROM wrong_minutes
        )
        OR (SUBSTR(payments.processed_at, 1, 20) = payments.processed_at) IS NOT TRUE
    UNION ALL
    SELECT
        'products' AS table_name,
        products.product_id AS row_id,
        products.launched_at AS happened_at
    FROM wrong_texts
    CROSS JOIN products
    WHERE
        SUBSTR(products.launched_at, 1, 10) IN (
            SELECT wrong_dates.date_text
            FROM wrong_dates
            WHERE wrong_dates.kind = 'launch'
        )
        OR SUBSTR(products.launched_at, 11, 3) IN (
            SELECT wrong_day_hours.day_hour_text
            FROM wrong_day_hours
        )
        OR SUBSTR(products.launched_at, 14) IN (
            SELECT wrong_minutes.minute_text
            FROM wrong_minutes
        )
        OR (SUBSTR(products.launched_at, 1, 20) = products.launched_at) IS NOT TRUE
    UNION ALL
    SELECT
        'users' AS table_name,
        users.user_id AS row_id,
        users.signed_up_at AS happened_at
    FROM wrong_texts
    CROSS JOIN users
    WHERE
        SUBSTR(users.signed_up_at, 1, 10) IN (
            SELECT wrong_dates.date_text
            FROM wrong_dates
            WHERE wrong_dates.kind = 'event'
        )
        OR SUBSTR(users.signed_up_at, 11, 3) IN (
            SELECT wrong_day_hours.day_hour_text
            FROM wrong_day_hours
        )
        OR SUBSTR(users.signed_up_at, 14) IN (
            SELECT wrong_minutes.minute_text
            FROM wrong_minutes
        )
        OR (SUBSTR(users.signed_up_at, 1, 20) = users.signed_up_at) IS NOT TRUE
)

SELECT
    faults.table_name,
    faults.row_id,
    faults.happened_at
FROM faults
ORDER BY faults.table_name, faults.row_id;
