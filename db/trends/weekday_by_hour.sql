-- Question: at which hours of the week do customers order?
-- Grain: one row per weekday (0 = Monday) and hour (UTC) with a valid order.
-- Title: Orders by weekday and hour
-- The weekday is computed from the number of days since 0000-03-01, a Wednesday.  In a year
-- that starts in March, a leap day is the last day, and every five months have 153 days.
-- (x - x % y) / y is the same integer by the division of every engine, also in floating
-- point, because all numbers here are small.
-- The first CTE is that of refunds_and_cancellations.sql and
-- volume_unusual_day.sql too, so that a report computes it once.
WITH order_hours AS (
    SELECT
        SUBSTR(orders.ordered_at, 1, 13) AS date_hour,
        orders.status,
        COUNT(*) AS order_count
    FROM orders
    GROUP BY SUBSTR(orders.ordered_at, 1, 13), orders.status
),

dates AS (
    SELECT DISTINCT SUBSTR(order_hours.date_hour, 1, 10) AS date_text
    FROM order_hours
),

parts AS (
    SELECT
        dates.date_text,
        CAST(SUBSTR(dates.date_text, 1, 4) AS BIGINT) AS calendar_year,
        CAST(SUBSTR(dates.date_text, 6, 2) AS BIGINT) AS calendar_month,
        CAST(SUBSTR(dates.date_text, 9, 2) AS BIGINT) AS day_of_month
    FROM dates
),

from_march AS (
    SELECT
        parts.date_text,
        CASE
            WHEN parts.calendar_month > 2 THEN parts.calendar_year
            ELSE parts.calendar_year - 1
        END AS march_year,
        153 * ((parts.calendar_month + 9) % 12) + 2 AS month_fifths,
        parts.day_of_month
    FROM parts
),

day_numbers AS (
    SELECT
        from_march.date_text,
        from_march.march_year * 365
        + CAST((from_march.march_year - from_march.march_year % 4) / 4 AS BIGINT)
        - CAST((from_march.march_year - from_march.march_year % 100) / 100 AS BIGINT)
        + CAST((from_march.march_year - from_march.march_year % 400) / 400 AS BIGINT)
        + CAST((from_march.month_fifths - from_march.month_fifths % 5) / 5 AS BIGINT)
        + from_march.day_of_month - 1 AS day_number
    FROM from_march
),

-- Without DISTINCT, SQLite computes the weekday again for each hour.
weekdays AS (
    SELECT DISTINCT
        day_numbers.date_text,
        (day_numbers.day_number + 2) % 7 AS weekday
    FROM day_numbers
),

weekday_hours AS (
    SELECT
        weekdays.weekday,
        CAST(SUBSTR(order_hours.date_hour, 12, 2) AS BIGINT) AS hour,
        order_hours.order_count
    FROM order_hours
    INNER JOIN weekdays
        ON SUBSTR(order_hours.date_hour, 1, 10) = weekdays.date_text
    WHERE order_hours.status IN (
        'paid', 'shipped', 'delivered', 'partially_returned', 'returned'
    )
)

SELECT
    weekday_hours.weekday,
    weekday_hours.hour,
    SUM(weekday_hours.order_count) AS order_count
FROM weekday_hours
GROUP BY weekday_hours.weekday, weekday_hours.hour
ORDER BY weekday_hours.weekday, weekday_hours.hour;
