-- Question: does the first cohort hold the customers of the time before the data?
-- Key: cohort_month.
-- Title: The first cohort is at most twice the median of the later ones
-- Severity: warning
-- Who bought before the first day of the data appears as a new customer in the first
-- month, with all others who return in it: the first cohort is then too large and too
-- loyal.  In UCI Online Retail (from December 2010) it is about three times the median; a
-- season alone rarely doubles a month.  Half a year of later cohorts is needed, so that a
-- single month does not decide, and 20 customers, because fewer may double by chance.
-- The + 0 keeps SQLite from reading the orders by the index of their users, from all over
-- the table.  The first two CTEs are those of orders_per_customer.sql too, so that a report
-- computes them once.
WITH valid_orders AS (
    SELECT
        orders.user_id + 0 AS user_id,
        SUBSTR(orders.ordered_at, 1, 7) AS month
    FROM orders
    WHERE orders.status IN (
        'paid', 'shipped', 'delivered', 'partially_returned', 'returned'
    )
),

customer_orders AS (
    SELECT
        valid_orders.user_id,
        MIN(valid_orders.month) AS first_month,
        COUNT(*) AS order_count
    FROM valid_orders
    GROUP BY valid_orders.user_id
),

limits AS (
    SELECT
        2 AS times_the_median,
        6 AS fewest_later_cohorts,
        20 AS fewest_customers
),

cohorts AS (
    SELECT
        customer_orders.first_month AS cohort_month,
        COUNT(*) AS customer_count
    FROM customer_orders
    GROUP BY customer_orders.first_month
),

first_months AS (
    SELECT MIN(cohorts.cohort_month) AS cohort_month
    FROM cohorts
),

-- The first cohort is larger than a multiple of the median if it is larger than that
-- multiple of more than half of the cohorts.
comparisons AS (
    SELECT
        first_cohorts.cohort_month,
        first_cohorts.customer_count,
        COUNT(*) AS later_cohorts,
        SUM(
            CASE
                WHEN
                    first_cohorts.customer_count
                    > limits.times_the_median * later_cohorts.customer_count
                    THEN 1
                ELSE 0
            END
        ) AS smaller_cohorts
    FROM first_months
    INNER JOIN cohorts AS first_cohorts
        ON first_months.cohort_month = first_cohorts.cohort_month
    INNER JOIN cohorts AS later_cohorts
        ON first_months.cohort_month < later_cohorts.cohort_month
    CROSS JOIN limits
    GROUP BY first_cohorts.cohort_month, first_cohorts.customer_count
)

SELECT
    comparisons.cohort_month,
    comparisons.customer_count,
    comparisons.later_cohorts,
    comparisons.smaller_cohorts
FROM comparisons
CROSS JOIN limits
WHERE
    comparisons.later_cohorts >= limits.fewest_later_cohorts
    AND comparisons.customer_count >= limits.fewest_customers
    AND comparisons.smaller_cohorts > comparisons.later_cohorts - comparisons.smaller_cohorts
ORDER BY comparisons.cohort_month;
