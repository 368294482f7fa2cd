-- Question: in which months does a country order at other hours than it usually does?
-- Key: country_code, month.
-- Title: No country orders at shifted hours in a month
-- Severity: warning
-- A source that wrote its local time as UTC shifts the hours of its orders.  The mean hour
-- of a month, counted from the quietest hour of the country, differs by 75 minutes and by
-- five standard errors; summer time alone changes it by 60.  At least 50 orders are needed.
-- Orders at 00:00:00 have no time of day.
WITH limits AS (
    SELECT
        50 AS fewest_orders,
        75 AS fewest_minutes,
        5 AS standard_errors
),

country_hours AS (
    SELECT
        users.country_code,
        SUBSTR(orders.ordered_at, 1, 7) AS month,
        CAST(SUBSTR(orders.ordered_at, 12, 2) AS BIGINT) AS hour_of_day,
        COUNT(*) AS order_count
    FROM orders
    INNER JOIN users
        ON orders.user_id = users.user_id
    WHERE SUBSTR(orders.ordered_at, 12, 8) <> '00:00:00'
    GROUP BY
        users.country_code,
        SUBSTR(orders.ordered_at, 1, 7),
        CAST(SUBSTR(orders.ordered_at, 12, 2) AS BIGINT)
),

hour_totals AS (
    SELECT
        country_hours.country_code,
        country_hours.month,
        country_hours.hour_of_day,
        country_hours.order_count,
        SUM(country_hours.order_count) OVER (
            PARTITION BY country_hours.country_code, country_hours.hour_of_day
        ) AS hour_total
    FROM country_hours
),

quiet_hours AS (
    SELECT
        hour_totals.country_code,
        hour_totals.month,
        hour_totals.hour_of_day,
        hour_totals.order_count,
        FIRST_VALUE(hour_totals.hour_of_day) OVER (
            PARTITION BY hour_totals.country_code
            ORDER BY hour_totals.hour_total, hour_totals.hour_of_day
        ) AS quiet_hour
    FROM hour_totals
),

-- The minutes from the quietest hour on.
counted_hours AS (
    SELECT
        quiet_hours.country_code,
        quiet_hours.month,
        60 * ((quiet_hours.hour_of_day - quiet_hours.quiet_hour + 24) % 24) AS minutes,
        quiet_hours.order_count
    FROM quiet_hours
),

month_sums AS (
    SELECT
        counted_hours.country_code,
        counted_hours.month,
        SUM(counted_hours.order_count) AS order_count,
        SUM(counted_hours.order_count * counted_hours.minutes) AS minutes
    FROM counted_hours
    GROUP BY counted_hours.country_code, counted_hours.month
),

country_sums AS (
    SELECT
        counted_hours.country_code,
        SUM(counted_hours.order_count) AS order_count,
        SUM(counted_hours.order_count * counted_hours.minutes) AS minutes,
        SUM(counted_hours.order_count * counted_hours.minutes * counted_hours.minutes)
            AS squares
    FROM counted_hours
    GROUP BY counted_hours.country_code
),

means AS (
    SELECT
        month_sums.country_code,
        month_sums.month,
        month_sums.order_count,
        CAST(
            (month_sums.minutes - month_sums.minutes % month_sums.order_count)
            / month_sums.order_count AS BIGINT
        ) AS month_minutes,
        CAST(
            (country_sums.minutes - country_sums.minutes % country_sums.order_count)
            / country_sums.order_count AS BIGINT
        ) AS usual_minutes,
        CAST(
            (country_sums.squares - country_sums.squares % country_sums.order_count)
            / country_sums.order_count AS BIGINT
        ) AS usual_squares
    FROM month_sums
    INNER JOIN country_sums
        ON month_sums.country_code = country_sums.country_code
),

shifts AS (
    SELECT
        means.country_code,
        means.month,
        means.order_count,
        means.month_minutes - means.usual_minutes AS shift_minutes,
        means.usual_squares - means.usual_minutes * means.usual_minutes AS variance
    FROM means
)

SELECT
    shifts.country_code,
    shifts.month,
    shifts.order_count,
    shifts.shift_minutes
FROM shifts
CROSS JOIN limits
WHERE
    shifts.order_count >= limits.fewest_orders
    AND ABS(shifts.shift_minutes) >= limits.fewest_minutes
    AND shifts.shift_minutes * shifts.shift_minutes * shifts.order_count
    > limits.standard_errors * limits.standard_errors * shifts.variance
ORDER BY shifts.country_code, shifts.month;
