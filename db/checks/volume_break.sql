-- Question: which channels and payment methods lose most of their share in one month?
-- Key: table_name, group_name, month.
-- Title: No channel and no payment method breaks off
-- Severity: warning
-- A source that stopped, or was renamed, keeps less than a quarter of its share of the month
-- before, where 50 events were expected.  The last month of the data is not compared,
-- because it may have begun only.
WITH limits AS (
    SELECT
        50 AS fewest_expected,
        4 AS times_less
),

group_months AS (
    SELECT
        'payments' AS table_name,
        payments.method AS group_name,
        SUBSTR(payments.processed_at, 1, 7) AS month,
        COUNT(*) AS event_count
    FROM payments
    GROUP BY payments.method, SUBSTR(payments.processed_at, 1, 7)
    UNION ALL
    SELECT
        'users' AS table_name,
        users.acquisition_channel AS group_name,
        SUBSTR(users.signed_up_at, 1, 7) AS month,
        COUNT(*) AS event_count
    FROM users
    GROUP BY users.acquisition_channel, SUBSTR(users.signed_up_at, 1, 7)
),

numbered AS (
    SELECT
        group_months.table_name,
        group_months.group_name,
        group_months.month,
        group_months.event_count,
        DENSE_RANK() OVER (
            PARTITION BY group_months.table_name
            ORDER BY group_months.month
        ) AS month_number,
        SUM(group_months.event_count) OVER (
            PARTITION BY group_months.table_name, group_months.month
        ) AS all_count
    FROM group_months
),

-- The next month of the table, and the next row of the group, which may be of a later one.
followed AS (
    SELECT
        numbered.table_name,
        numbered.group_name,
        numbered.event_count,
        numbered.month_number,
        numbered.all_count,
        MAX(numbered.month_number) OVER (PARTITION BY numbered.table_name) AS last_number,
        MAX(numbered.month) OVER (
            PARTITION BY numbered.table_name
            ORDER BY numbered.month_number
            RANGE BETWEEN 1 FOLLOWING AND 1 FOLLOWING
        ) AS next_month,
        MAX(numbered.all_count) OVER (
            PARTITION BY numbered.table_name
            ORDER BY numbered.month_number
            RANGE BETWEEN 1 FOLLOWING AND 1 FOLLOWING
        ) AS next_all_count,
        LEAD(numbered.month_number) OVER (
            PARTITION BY numbered.table_name, numbered.group_name
            ORDER BY numbered.month_number
        ) AS next_number,
        LEAD(numbered.event_count) OVER (
            PARTITION BY numbered.table_name, numbered.group_name
            ORDER BY numbered.month_number
        ) AS next_count
    FROM numbered
),

comparisons AS (
    SELECT
        followed.table_name,
        followed.group_name,
        followed.next_month AS month,
        CASE
            WHEN followed.next_number = followed.month_number + 1 THEN followed.next_count
            ELSE 0
        END AS event_count,
        followed.event_count AS count_before,
        followed.all_count AS all_before,
        followed.next_all_count AS all_count
    FROM followed
    WHERE followed.month_number + 1 < followed.last_number
)

SELECT
    comparisons.table_name,
    comparisons.group_name,
    comparisons.month,
    comparisons.event_count,
    comparisons.count_before
FROM comparisons
CROSS JOIN limits
WHERE
    comparisons.count_before * comparisons.all_count
    >= limits.fewest_expected * comparisons.all_before
    AND limits.times_less * comparisons.event_count * comparisons.all_before
    < comparisons.count_before * comparisons.all_count
ORDER BY comparisons.table_name, comparisons.group_name, comparisons.month;
