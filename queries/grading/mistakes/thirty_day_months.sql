-- Mistake: months since are counted in steps of 30 days
-- Why: twelve such months are 360 days, and a calendar month is then spread over two.
-- Instead: subtract calendar months: 12 x year + month of both dates.
WITH order_totals AS (
    SELECT
        order_id,
        user_id,
        ordered_at,
        CAST(SUBSTR(MIN(ordered_at) OVER first_orders, 1, 4) AS INTEGER) * 12
        + CAST(SUBSTR(MIN(ordered_at) OVER first_orders, 6, 2) AS INTEGER) - 1
        + (
            STRFTIME('%s', ordered_at) - STRFTIME('%s', MIN(ordered_at) OVER first_orders)
        ) / (30 * 86400) AS month_index,
        unit_count,
        gross_cents,
        discount_cents,
        cost_cents
    FROM previous_rows
    WINDOW first_orders AS (PARTITION BY user_id)
),

refund_payments AS (
    SELECT
        previous_rows.order_id,
        previous_rows.user_id,
        DATE(
            first_days.first_at,
            'start of month',
            (
                (
                    STRFTIME('%s', previous_rows.counted_at)
                    - STRFTIME('%s', first_days.first_at)
                ) / (30 * 86400)
            ) || ' months'
        ) AS counted_at,
        previous_rows.amount_times_goods,
        previous_rows.total_cents
    FROM previous_rows
    INNER JOIN (
        SELECT user_id, MIN(ordered_at) AS first_at
        FROM order_totals
        GROUP BY user_id
    ) AS first_days
        ON previous_rows.user_id = first_days.user_id
)
