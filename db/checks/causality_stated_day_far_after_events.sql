-- Question: is the stated last day so long after all events that it is probably mistyped?
-- Key: window_end.
-- Title: The stated last day is not far after all events
-- Severity: warning
-- Months without events make cohorts old enough for a CLV.  Far is more than 13 months, as in
-- `causality_far_after_other_events`; `loading/last_day.py` warns of the same day.  A generated
-- shop of few users may have no events at the end of its window; its manifest has a seed.
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
    SELECT MAX(orders.ordered_at) AS last_at
    FROM orders
    UNION ALL
    SELECT MAX(payments.processed_at) AS last_at
    FROM payments
    UNION ALL
    SELECT MAX(users.signed_up_at) AS last_at
    FROM users
),

last_events AS (
    SELECT MAX(table_events.last_at) AS last_event_at
    FROM table_events
),

-- The pattern of a month: every digit becomes 0.
patterns AS (
    SELECT
        last_events.last_event_at,
        REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(
            SUBSTR(last_events.last_event_at, 1, 7),
            '1', '0'), '2', '0'), '3', '0'), '4', '0'), '5', '0'), '6', '0'), '7', '0'),
            '8', '0'), '9', '0') AS pattern
    FROM last_events
),

month_counts AS (
    SELECT
        last_day.window_end,
        last_day.seed,
        patterns.last_event_at,
        CASE
            WHEN patterns.pattern = '0000-00'
                THEN
                    CAST(SUBSTR(last_day.window_end, 1, 4) AS BIGINT) * 12
                    + CAST(SUBSTR(last_day.window_end, 6, 2) AS BIGINT)
                    - CAST(SUBSTR(patterns.last_event_at, 1, 4) AS BIGINT) * 12
                    - CAST(SUBSTR(patterns.last_event_at, 6, 2) AS BIGINT)
        END AS months_later
    FROM patterns
    CROSS JOIN last_day
)

SELECT
    month_counts.window_end,
    month_counts.last_event_at
FROM month_counts
WHERE
    month_counts.seed IS NULL
    AND month_counts.months_later > 13
ORDER BY month_counts.window_end;
