-- Question: is the stated last day so long after all events that it is probably mistyped?
-- Key: window_end.
-- Title: The stated last day is not far after all events
-- Severity: warning
-- Months without events make cohorts old enough for a CLV.  Far is more than 108 months: the
-- data of a shop that has closed may end years before the day that its owner states, and a
-- mistyped decade is ten years.  In a generated shop, whose manifest has a seed, sign-ups go on
-- to the last day: far is more than 13 months in which 20 sign-ups or more are expected.
-- `loading/last_day.py` explains the figures and warns of the same day.
WITH last_day AS (
    SELECT
        MAX(
            CASE
                WHEN submission_meta.property = 'window_end' THEN submission_meta.value
            END
        ) AS window_end,
        MAX(
            CASE WHEN submission_meta.property = 'seed' THEN submission_meta.value END
        ) AS seed
    FROM submission_meta
    WHERE submission_meta.subject = 'generator'
),

table_events AS (
    SELECT
        0 AS user_count,
        '' AS first_at,
        MAX(orders.ordered_at) AS last_at
    FROM orders
    UNION ALL
    SELECT
        0 AS user_count,
        '' AS first_at,
        MAX(payments.processed_at) AS last_at
    FROM payments
    UNION ALL
    SELECT
        COUNT(*) AS user_count,
        MIN(users.signed_up_at) AS first_at,
        MAX(users.signed_up_at) AS last_at
    FROM users
),

last_events AS (
    SELECT
        SUM(table_events.user_count) AS user_count,
        MAX(table_events.first_at) AS first_sign_up_at,
        MAX(table_events.last_at) AS last_event_at
    FROM table_events
),

-- The pattern of both months: every digit becomes 0.
patterns AS (
    SELECT
        last_events.last_event_at,
        last_events.user_count,
        last_events.first_sign_up_at,
        REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(
            SUBSTR(last_events.first_sign_up_at, 1, 7)
            || SUBSTR(last_events.last_event_at, 1, 7),
            '1', '0'), '2', '0'), '3', '0'), '4', '0'), '5', '0'), '6', '0'), '7', '0'),
            '8', '0'), '9', '0') AS pattern
    FROM last_events
),

month_counts AS (
    SELECT
        last_day.window_end,
        last_day.seed,
        patterns.last_event_at,
        patterns.user_count,
        CASE
            WHEN patterns.pattern = '0000-000000-00'
                THEN
                    CAST(SUBSTR(last_day.window_end, 1, 4) AS BIGINT) * 12
                    + CAST(SUBSTR(last_day.window_end, 6, 2) AS BIGINT)
                    - CAST(SUBSTR(patterns.last_event_at, 1, 4) AS BIGINT) * 12
                    - CAST(SUBSTR(patterns.last_event_at, 6, 2) AS BIGINT)
        END AS months_later,
        CASE
            WHEN patterns.pattern = '0000-000000-00'
                THEN
                    CAST(SUBSTR(last_day.window_end, 1, 4) AS BIGINT) * 12
                    + CAST(SUBSTR(last_day.window_end, 6, 2) AS BIGINT)
                    - CAST(SUBSTR(patterns.first_sign_up_at, 1, 4) AS BIGINT) * 12
                    - CAST(SUBSTR(patterns.first_sign_up_at, 6, 2) AS BIGINT)
        END AS all_months
    FROM patterns
    CROSS JOIN last_day
)

SELECT
    month_counts.window_end,
    month_counts.last_event_at
FROM month_counts
WHERE
    (month_counts.seed IS NULL AND month_counts.months_later > 108)
    OR (
        month_counts.seed IS NOT NULL
        AND month_counts.months_later > 13
        AND month_counts.user_count * month_counts.months_later
        >= 20 * month_counts.all_months
    )
ORDER BY month_counts.window_end;
