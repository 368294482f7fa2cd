-- Question: on which days do the orders of a day miss, or exist twice?
-- Key: day_text.
-- Title: No day is without orders or has twice the usual number
-- Severity: warning
-- A day is compared with the same weekday a week before and after, so a shop may close on
-- Sundays.  Without orders it is found if both have 60: an outage leaves some orders.  The
-- days from 24 December to 2 January may be closed.  With 120 orders or more it is found if
-- it has more than twice the orders of both and of the days beside it; the season from 15
-- November to 24 December has such days.
-- The first CTE is that of weekday_by_hour.sql and
-- refunds_and_cancellations.sql too, so that a report computes it once.
WITH order_hours AS (
    SELECT
        SUBSTR(orders.ordered_at, 1, 13) AS date_hour,
        orders.status,
        COUNT(*) AS order_count
    FROM orders
    GROUP BY SUBSTR(orders.ordered_at, 1, 13), orders.status
),

limits AS (
    SELECT
        60 AS fewest_orders,
        2 AS times_the_usual
),

-- The days after a first day: the compared day is a week later.
offsets AS (
    SELECT 6 AS day_offset
    UNION ALL
    SELECT 7 AS day_offset
    UNION ALL
    SELECT 8 AS day_offset
    UNION ALL
    SELECT 14 AS day_offset
),

order_days AS (
    SELECT
        SUBSTR(order_hours.date_hour, 1, 10) AS day_text,
        SUM(order_hours.order_count) AS order_count
    FROM order_hours
    GROUP BY SUBSTR(order_hours.date_hour, 1, 10)
),

parts AS (
    SELECT
        order_days.day_text,
        order_days.order_count,
        CAST(SUBSTR(order_days.day_text, 1, 4) AS BIGINT) AS year_number,
        CAST(SUBSTR(order_days.day_text, 6, 2) AS BIGINT) AS month_number,
        CAST(SUBSTR(order_days.day_text, 9, 2) AS BIGINT) AS day_number
    FROM order_days
),

month_lengths AS (
    SELECT
        parts.day_text,
        parts.order_count,
        parts.year_number,
        parts.month_number,
        parts.day_number,
        CASE
            WHEN parts.month_number IN (4, 6, 9, 11) THEN 30
            WHEN parts.month_number <> 2 THEN 31
            WHEN
                parts.year_number % 4 = 0
                AND (parts.year_number % 100 <> 0 OR parts.year_number % 400 = 0)
                THEN 29
            ELSE 28
        END AS month_length
    FROM parts
),

-- One more month where the day is in the next one.
later_days AS (
    SELECT
        month_lengths.day_text AS first_day,
        month_lengths.order_count AS first_count,
        offsets.day_offset,
        month_lengths.year_number,
        CASE
            WHEN month_lengths.day_number + offsets.day_offset <= month_lengths.month_length
                THEN month_lengths.month_number
            ELSE month_lengths.month_number + 1
        END AS month_number,
        CASE
            WHEN month_lengths.day_number + offsets.day_offset <= month_lengths.month_length
                THEN month_lengths.day_number + offsets.day_offset
            ELSE
                month_lengths.day_number + offsets.day_offset - month_lengths.month_length
        END AS day_number
    FROM month_lengths
    CROSS JOIN offsets
),

later_texts AS (
    SELECT
        later_days.first_day,
        later_days.first_count,
        later_days.day_offset,
        CASE
            WHEN later_days.month_number = 13 THEN (later_days.year_number + 1) || '-01'
            ELSE
                later_days.year_number
                || '-'
                || SUBSTR((100 + later_days.month_number) || '', 2)
        END
        || '-'
        || SUBSTR((100 + later_days.day_number) || '', 2) AS day_text
    FROM later_days
),

comparisons AS (
    SELECT
        MAX(CASE WHEN later_texts.day_offset = 7 THEN later_texts.day_text END) AS day_text,
        later_texts.first_count AS week_before,
        SUM(
            CASE WHEN later_texts.day_offset = 6 THEN order_days.order_count ELSE 0 END
        ) AS day_before,
        SUM(
            CASE WHEN later_texts.day_offset = 7 THEN order_days.order_count ELSE 0 END
        ) AS order_count,
        SUM(
            CASE WHEN later_texts.day_offset = 8 THEN order_days.order_count ELSE 0 END
        ) AS day_after,
        SUM(
            CASE WHEN later_texts.day_offset = 14 THEN order_days.order_count ELSE 0 END
        ) AS week_after
    FROM later_texts
    LEFT JOIN order_days
        ON later_texts.day_text = order_days.day_text
    GROUP BY later_texts.first_day, later_texts.first_count
)

SELECT
    comparisons.day_text,
    comparisons.order_count,
    comparisons.week_before,
    comparisons.week_after
FROM comparisons
CROSS JOIN limits
WHERE
    (
        comparisons.order_count = 0
        AND comparisons.week_before >= limits.fewest_orders
        AND comparisons.week_after >= limits.fewest_orders
        AND SUBSTR(comparisons.day_text, 6) NOT BETWEEN '12-24' AND '12-31'
        AND SUBSTR(comparisons.day_text, 6) NOT BETWEEN '01-01' AND '01-02'
    )
    OR (
        comparisons.order_count >= limits.fewest_orders * limits.times_the_usual
        AND comparisons.order_count > limits.times_the_usual * comparisons.week_before
        AND comparisons.order_count > limits.times_the_usual * comparisons.day_before
        AND comparisons.order_count > limits.times_the_usual * comparisons.day_after
        AND comparisons.order_count > limits.times_the_usual * comparisons.week_after
        AND comparisons.day_after > 0
        AND comparisons.week_after > 0
        AND SUBSTR(comparisons.day_text, 6) NOT BETWEEN '11-15' AND '12-24'
    )
ORDER BY comparisons.day_text;
