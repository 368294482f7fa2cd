-- Mistake: revenue is what customers paid, with shipping and tax
-- Why: the amounts of payments, and the totals of orders, contain shipping and tax, which
--     are not revenue.
-- Instead: add up the lines, quantity x unit price, less discounts.
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
                AND payments.status = 'succeeded'
        ), 0) AS gross_cents,
        0 AS discount_cents,
        cost_cents
    FROM previous_rows
)
