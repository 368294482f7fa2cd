-- Question: which orders were refunded more than they were charged, beyond rounding?
-- Key: order_id.
-- Title: No order is refunded more than it was charged
-- Severity: error
-- Needs: payments.
-- The tolerances are those of payments_match_order_status, here as a part of the charges.
-- The + 0 keeps SQLite from reading all payments by the index of their orders.
WITH tolerances AS (
    SELECT
        5 AS minor_units,
        1000 AS parts
),

refunded_orders AS (
    SELECT DISTINCT payments.order_id + 0 AS order_id
    FROM payments
    WHERE
        payments.kind = 'refund'
        AND payments.status = 'succeeded'
),

paid_sums AS (
    SELECT
        payments.order_id,
        SUM(
            CASE WHEN payments.kind = 'charge' THEN payments.amount_cents ELSE 0 END
        ) AS charged_cents,
        SUM(
            CASE WHEN payments.kind = 'refund' THEN payments.amount_cents ELSE 0 END
        ) AS refunded_cents
    FROM refunded_orders
    INNER JOIN payments
        ON refunded_orders.order_id = payments.order_id
    WHERE payments.status = 'succeeded'
    GROUP BY payments.order_id
)

SELECT
    paid_sums.order_id,
    paid_sums.charged_cents,
    paid_sums.refunded_cents
FROM paid_sums
CROSS JOIN tolerances
WHERE
    paid_sums.refunded_cents - paid_sums.charged_cents > tolerances.minor_units
    AND paid_sums.refunded_cents - paid_sums.charged_cents
    > (paid_sums.charged_cents - paid_sums.charged_cents % tolerances.parts)
    / tolerances.parts
ORDER BY paid_sums.order_id;
