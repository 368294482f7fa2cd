-- Mistake: months since are counted in steps of 30 days
-- Why: twelve such months are 360 days, and a calendar month is then spread over two.
-- Instead: subtract calendar months: 12 x year + month of both dates.
WITH order_totals AS (
    SELECT
        order_id,
        user_id,
        ordered_at,
        CAST(SUBSTR(first_at, 1, 4) AS INTEGER) * 12
        + CAST(SUBSTR(first_at, 6, 2) AS INTEGER) - 1
        + (STRFTIME('%s', ordered_at) - STRFTIME('%s', first_at)) / (30 * 86400)
        AS month_index,
        unit_count,
        gross_cents,
        discount_cents,
        cost_cents
    FROM (
        SELECT
            previous_rows.*,
            MIN(ordered_at) OVER (PARTITION BY user_id) AS first_at
        FROM previous_rows
    )
),

refund_payments AS (
    SELECT
        order_id,
        user_id,
        DATE(
            first_at,
            'start of month',
            ((STRFTIME('%s', counted_at) - STRFTIME('%s', first_at)) / (30 * 86400))
            || ' months'
        ) AS counted_at,
        amount_times_goods,
        total_cents
    FROM (
        SELECT
            previous_rows.*,
            (
                SELECT MIN(orders.ordered_at) FROM orders
                WHERE
                    orders.user_id = previous_rows.user_id
                    AND orders.status IN (SELECT status FROM valid_statuses)
            ) AS first_at
        FROM previous_rows
    )
)
