-- Question: what is the net of each customer at the ages of CLV?
-- Grain: one row per customer, with segment and cohort.
-- Units: integer cents, net through the month 3, 6, 12 or 24 months after the cohort's.
--
-- Run with the CTEs of join_query.sql in front, which define a customer's net.
SELECT
    customer_months.segment,
    customer_months.cohort_index,
    SUM(
        CASE
            WHEN customer_months.month_index - customer_months.cohort_index <= 3
                THEN customer_months.net_cents
            ELSE 0
        END
    ) AS net_3m_cents,
    SUM(
        CASE
            WHEN customer_months.month_index - customer_months.cohort_index <= 6
                THEN customer_months.net_cents
            ELSE 0
        END
    ) AS net_6m_cents,
    SUM(
        CASE
            WHEN customer_months.month_index - customer_months.cohort_index <= 12
                THEN customer_months.net_cents
            ELSE 0
        END
    ) AS net_12m_cents,
    SUM(
        CASE
            WHEN customer_months.month_index - customer_months.cohort_index <= 24
                THEN customer_months.net_cents
            ELSE 0
        END
    ) AS net_24m_cents
FROM customer_months
GROUP BY
    customer_months.user_id,
    customer_months.segment,
    customer_months.cohort_index
ORDER BY customer_months.user_id;
