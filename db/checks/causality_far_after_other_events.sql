-- Question: which events are so long after all others that their year is probably mistyped?
-- Key: table_name, row_id.
-- Title: No event is far after all others
-- Severity: warning
-- Without a stated last day, such events decide which cohorts are old enough for a CLV.  They
-- are a single event or at most one event in 20, and the month with events before them is
-- more than 13 months earlier; `loading/last_day.py` explains the figures and warns of the
-- same events.  An event after a stated last day is found by `causality_nothing_after_as_of`.
-- A generated shop of few users may have such gaps in its window; its manifest has a seed.
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

-- One row per table and month: aggregated first, because there are few months.  None if
-- the shop was generated, because then no event is far.
table_months AS (
    SELECT
        SUBSTR(orders.ordered_at, 1, 7) AS month_text,
        COUNT(*) AS event_count
    FROM last_day
    CROSS JOIN orders
    WHERE last_day.window_end IS NULL OR last_day.seed IS NULL
    GROUP BY SUBSTR(orders.ordered_at, 1, 7)
    UNION ALL
    SELECT
        SUBSTR(payments.processed_at, 1, 7) AS month_text,
        COUNT(*) AS event_count
    FROM last_day
    CROSS JOIN payments
    WHERE last_day.window_end IS NULL OR last_day.seed IS NULL
    GROUP BY SUBSTR(payments.processed_at, 1, 7)
    UNION ALL
    SELECT
        SUBSTR(users.signed_up_at, 1, 7) AS month_text,
        COUNT(*) AS event_count
    FROM last_day
    CROSS JOIN users
    WHERE last_day.window_end IS NULL OR last_day.seed IS NULL
    GROUP BY SUBSTR(users.signed_up_at, 1, 7)
),

months AS (
    SELECT
        table_months.month_text,
        SUM(table_months.event_count) AS event_count
    FROM table_months
    GROUP BY table_months.month_text
),

-- The pattern of a month: every digit becomes 0.
patterns AS (
    SELECT
        months.month_text,
        months.event_count,
        REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(
            months.month_text,
            '1', '0'), '2', '0'), '3', '0'), '4', '0'), '5', '0'), '6', '0'), '7', '0'),
            '8', '0'), '9', '0') AS pattern
    FROM months
),

month_numbers AS (
    SELECT
        patterns.month_text,
        patterns.event_count,
        CASE
            WHEN patterns.pattern = '0000-00'
                THEN
                    CAST(SUBSTR(patterns.month_text, 1, 4) AS BIGINT) * 12
                    + CAST(SUBSTR(patterns.month_text, 6, 2) AS BIGINT)
        END AS month_number
    FROM patterns
),

-- One row per month: the month with events before it, and the events from it on.
spans AS (
    SELECT
        month_numbers.month_text,
        month_numbers.month_number,
        LAG(month_numbers.month_number) OVER (
            ORDER BY month_numbers.month_number
        ) AS previous_number,
        SUM(month_numbers.event_count) OVER (
            ORDER BY month_numbers.month_number DESC
        ) AS later_count,
        SUM(month_numbers.event_count) OVER () AS event_count
    FROM month_numbers
    WHERE month_numbers.month_number IS NOT NULL
),

far_months AS (
    SELECT MIN(spans.month_text) AS month_text
    FROM spans
    WHERE
        spans.month_number - spans.previous_number > 13
        AND (spans.later_count = 1 OR spans.later_count * 20 <= spans.event_count)
    HAVING MIN(spans.month_text) IS NOT NULL
),

events AS (
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
        'users' AS table_name,
        users.user_id AS row_id,
        users.signed_up_at AS happened_at
    FROM users
)

SELECT
    events.table_name,
    events.row_id,
    events.happened_at
FROM far_months
CROSS JOIN last_day
INNER JOIN events
    ON SUBSTR(events.happened_at, 1, 7) >= far_months.month_text
WHERE
    last_day.window_end IS NULL
    OR (
        last_day.seed IS NULL
        AND SUBSTR(events.happened_at, 1, 10) <= last_day.window_end
    )
ORDER BY events.table_name, events.row_id;
