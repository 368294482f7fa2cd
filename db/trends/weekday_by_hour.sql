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

hours AS (
    SELECT
        order_hours.date_hour,
        SUM(order_hours.order_count) AS order_count
    FROM order_hours
    WHERE order_hours.status IN (
        'paid', 'shipped', 'delivered', 'partially_returned', 'returned'
    )
    GROUP BY order_hours.date_hour
),

parts AS (
    SELECT
        CAST(SUBSTR(hours.date_hour, 1, 4) AS BIGINT) AS calendar_year,
        CAST(SUBSTR(hours.date_hour, 6, 2) AS BIGINT) AS calendar_month,
        CAST(SUBSTR(hours.date_hour, 9, 2) AS BIGINT) AS day_of_month,
        CAST(SUBSTR(hours.date_hour, 12, 2) AS BIGINT) AS hour_of_day,
        hours.order_count
    FROM hours
),

from_march AS (
    SELECT
        CASE
            WHEN parts.calendar_month > 2 THEN parts.calendar_year
            ELSE parts.calendar_year - 1
        END AS march_year,
        153 * ((parts.calendar_month + 9) % 12) + 2 AS month_fifths,
        parts.day_of_month,
        parts.hour_of_day,
        parts.order_count
    FROM parts
),

day_numbers AS (
    SELECT
        from_march.march_year * 365
        + CAST((from_march.march_year - from_march.march_year % 4) / 4 AS BIGINT)
        - CAST((from_march.march_year - from_march.march_year % 100) / 100 AS BIGINT)
        + CAST((from_march.march_year - from_march.march_year % 400) / 400 AS BIGINT)
        + CAST((from_march.month_fifths - from_march.month_fifths % 5) / 5 AS BIGINT)
        + from_march.day_of_month - 1 AS day_number,
        from_march.hour_of_day,
        from_march.order_count
    FROM from_march
),

weekdays AS (
    SELECT
        (day_numbers.day_number + 2) % 7 AS weekday,
        day_numbers.hour_of_day AS hour,
        day_numbers.order_count
    FROM day_numbers
)

SELECT
    weekdays.weekday,
    weekdays.hour,
    SUM(weekdays.order_count) AS order_count
FROM weekdays
GROUP BY weekdays.weekday, weekdays.hour
ORDER BY weekdays.weekday, weekdays.hour;
