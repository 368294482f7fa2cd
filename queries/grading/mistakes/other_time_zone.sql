-- Mistake: the month is taken in another time zone (UTC{hours})
-- Why: all times are UTC; shifted by some hours, orders at the edge of a month change it.
-- Instead: take the month of the time as it is stored.
-- Values: -8, -7, -6, -5, -4, -3, -2, -1, +1, +2, +3, +4, +5, +6, +7, +8, +9
WITH order_totals AS (
    SELECT
        order_id,
        user_id,
        ordered_at,
        CAST(STRFTIME('%Y', ordered_at, '{hours} hours') AS INTEGER) * 12
        + CAST(STRFTIME('%m', ordered_at, '{hours} hours') AS INTEGER) - 1 AS month_index,
        unit_count,
        gross_cents,
        discount_cents,
        cost_cents
    FROM previous_rows
),

refund_payments AS (
    SELECT
        order_id,
        user_id,
        DATETIME(counted_at, '{hours} hours') AS counted_at,
        amount_times_goods,
        total_cents
    FROM previous_rows
)
