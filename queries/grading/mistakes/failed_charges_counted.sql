-- Mistake: revenue is the sum of all charges, failed ones too
-- Why: a failed charge brings no money, and the customer usually tries again, so the order
--     counts twice.
-- Instead: add up the lines; where payments are needed, only those that succeeded.
WITH order_totals AS (
    SELECT
        order_id,
        user_id,
        ordered_at,
        month_index,
        unit_count,
        COALESCE((
            SELECT SUM(payments.amount_cents) FROM payments
            WHERE
                payments.order_id = previous_rows.order_id
                AND payments.kind = 'charge'
        ), 0) AS gross_cents,
        0 AS discount_cents,
        cost_cents
    FROM previous_rows
)
