-- Question: how do the values of customers spread in each cohort, at the ages of CLV?
-- Grain: one row per grain of cohorts (month, quarter), age, segment and cohort that
--     has completed the age.  first_index is NULL for all cohorts, segment for all
--     segments.
-- Units: integer cents.  square_sum is text, as it may need more than 64 bits;
--     middle_cents is twice the median.
--
-- For engines with too many customers to fetch; queries/uncertainty.py computes the
-- interval.  customer_values holds the rows of customer_values.sql, as_of_months those
-- of the CTE in join_query.sql; both are stored under these names.  Equal values are
-- counted first, so that no step has to collect all customers.

-- --omit-first-cohort replaces the body.  Whether all cohorts include the first one.
WITH averages AS (
    SELECT 1 AS has_first_cohort
),

ages AS (
    SELECT 3 AS months
    UNION ALL SELECT 6 AS months
    UNION ALL SELECT 12 AS months
    UNION ALL SELECT 24 AS months
),

grains AS (
    SELECT
        'month' AS grain,
        1 AS month_count
    UNION ALL
    SELECT
        'quarter' AS grain,
        3 AS month_count
),

-- One row per segment, cohort by month, age and value.
value_counts AS (
    SELECT
        customer_values.segment,
        customer_values.cohort_index,
        ages.months,
        CASE ages.months
            WHEN 3 THEN customer_values.net_3m_cents
            WHEN 6 THEN customer_values.net_6m_cents
            WHEN 12 THEN customer_values.net_12m_cents
            ELSE customer_values.net_24m_cents
        END AS value_cents,
        COUNT(*) AS customer_count
    FROM customer_values
    CROSS JOIN ages
    GROUP BY
        customer_values.segment,
        customer_values.cohort_index,
        ages.months,
        CASE ages.months
            WHEN 3 THEN customer_values.net_3m_cents
            WHEN 6 THEN customer_values.net_6m_cents
            WHEN 12 THEN customer_values.net_12m_cents
            ELSE customer_values.net_24m_cents
        END
),

-- The same counts by both grains; last_index is the last month of the cohort.
grain_counts AS (
    SELECT
        grains.grain,
        value_counts.segment,
        value_counts.cohort_index - value_counts.cohort_index % grains.month_count
        AS first_index,
        value_counts.cohort_index - value_counts.cohort_index % grains.month_count
        + grains.month_count - 1 AS last_index,
        value_counts.months,
        value_counts.value_cents,
        value_counts.customer_count
    FROM value_counts
    CROSS JOIN grains
),

-- One row per grain: the first month of the first cohort of all segments.
first_cohorts AS (
    SELECT
        grain,
        MIN(first_index) AS first_index
    FROM grain_counts
    GROUP BY grain
),

-- The same counts, only of cohorts whose last month has completed that age.
complete_counts AS (
    SELECT
        grain_counts.grain,
        grain_counts.segment,
        grain_counts.first_index,
        CASE
            WHEN averages.has_first_cohort = 1 THEN 1
            WHEN grain_counts.first_index > first_cohorts.first_index THEN 1
            ELSE 0
        END AS is_averaged,
        grain_counts.months,
        grain_counts.value_cents,
        grain_counts.customer_count
    FROM grain_counts
    INNER JOIN first_cohorts
        ON grain_counts.grain = first_cohorts.grain
    CROSS JOIN averages
    CROSS JOIN as_of_months
    WHERE
        grain_counts.last_index + grain_counts.months < as_of_months.month_index
        OR (
            grain_counts.last_index + grain_counts.months = as_of_months.month_index
            AND as_of_months.day_number = as_of_months.day_count
        )
),

-- One row per group and value.
group_counts AS (
    SELECT
        grain,
        months,
        segment,
        first_index,
        is_averaged,
        value_cents,
        SUM(customer_count) AS customer_count
    FROM complete_counts
    GROUP BY GROUPING SETS (
        (grain, months, value_cents, is_averaged, segment, first_index),
        (grain, months, value_cents, is_averaged, segment),
        (grain, months, value_cents, is_averaged, first_index),
        (grain, months, value_cents, is_averaged)
    )
),

running_counts AS (
    SELECT
        grain,
        months,
        segment,
        first_index,
        value_cents,
        customer_count,
        SUM(customer_count) OVER (
            PARTITION BY grain, months, segment, first_index
            ORDER BY value_cents
            ROWS UNBOUNDED PRECEDING
        ) AS count_so_far,
        SUM(customer_count) OVER (
            PARTITION BY grain, months, segment, first_index
        ) AS group_count
    FROM group_counts
    WHERE
        first_index IS NOT NULL
        OR is_averaged = 1
)

SELECT
    grain,
    months,
    segment,
    first_index,
    MAX(group_count) AS customer_count,
    SUM(value_cents * customer_count) AS total_cents,
    '' || SUM(
        CAST(value_cents AS DECIMAL(19, 0))
        * CAST(value_cents * customer_count AS DECIMAL(19, 0))
    ) AS square_sum,
    MIN(CASE WHEN 2 * count_so_far >= group_count THEN value_cents END)
    + MIN(CASE WHEN 2 * count_so_far > group_count THEN value_cents END)
    AS middle_cents
FROM running_counts
GROUP BY
    grain,
    months,
    segment,
    first_index
ORDER BY
    grain,
    months,
    segment,
    first_index;
