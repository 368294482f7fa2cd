-- Mistake: cohorts are those of the sign-up month
-- Why: users who never buy are in the denominators, and months before the first order look
--     like churn.
-- Instead: take the month of each customer's first valid order.
WITH cohort_user_months AS (
    SELECT
        previous_rows.user_id,
        previous_rows.month_index,
        previous_rows.order_count,
        previous_rows.unit_count,
        previous_rows.gross_cents,
        previous_rows.discount_cents,
        previous_rows.refund_cents,
        previous_rows.cost_cents,
        CAST(SUBSTR(users.signed_up_at, 1, 4) AS INTEGER) * 12
        + CAST(SUBSTR(users.signed_up_at, 6, 2) AS INTEGER) - 1 AS cohort_index,
        previous_rows.orders_so_far
    FROM previous_rows
    INNER JOIN users
        ON previous_rows.user_id = users.user_id
    UNION ALL
    SELECT
        user_id,
        CAST(SUBSTR(signed_up_at, 1, 4) AS INTEGER) * 12
        + CAST(SUBSTR(signed_up_at, 6, 2) AS INTEGER) - 1 AS month_index,
        0, 0, 0, 0, 0, 0,
        CAST(SUBSTR(signed_up_at, 1, 4) AS INTEGER) * 12
        + CAST(SUBSTR(signed_up_at, 6, 2) AS INTEGER) - 1 AS cohort_index,
        0
    FROM users
    WHERE signed_up_at <= (SELECT as_of || 'T23:59:59Z' FROM as_of_dates)
),

cohort_spans AS (
    SELECT
        previous_rows.segment,
        previous_rows.cohort_index,
        previous_rows.month_index,
        previous_rows.active_customers,
        previous_rows.new_repeat_customers,
        previous_rows.order_count,
        previous_rows.unit_count,
        previous_rows.gross_cents,
        previous_rows.discount_cents,
        previous_rows.refund_cents,
        previous_rows.cost_cents,
        cohort_sizes.cohort_size,
        previous_rows.next_month_index
    FROM previous_rows
    INNER JOIN (
        SELECT segment, cohort_index, COUNT(DISTINCT user_id) AS cohort_size
        FROM customer_months
        GROUP BY segment, cohort_index
    ) AS cohort_sizes
        ON
            previous_rows.segment = cohort_sizes.segment
            AND previous_rows.cohort_index = cohort_sizes.cohort_index
)
