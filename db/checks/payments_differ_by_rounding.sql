-- Question: which orders have charges and refunds that match their status but for rounding?
-- Key: order_id.
-- Title: The payments of an order match its total to the cent
-- Severity: warning
-- Needs: payments.
-- Shops round the tax of each line, of each order, or after a conversion of currency.
-- payments_match_order_status finds larger differences, and states what a status means.
WITH tolerances AS (
    -- A difference counts as rounding up to 5 minor units, or 1 part in 1000 of the total.
    SELECT
        5 AS minor_units,
        1000 AS parts
),

paid_sums AS (
    SELECT
        orders.order_id,
        orders.status,
        orders.total_cents,
        COALESCE(SUM(
            CASE WHEN payments.kind = 'charge' THEN payments.amount_cents END
        ), 0) AS charged_cents,
        COALESCE(SUM(
            CASE WHEN payments.kind = 'refund' THEN payments.amount_cents END
        ), 0) AS refunded_cents
    FROM orders
    LEFT JOIN payments
        ON
            orders.order_id = payments.order_id
            AND payments.status = 'succeeded'
    GROUP BY orders.order_id, orders.status, orders.total_cents
),

-- The differences from what the status means; NULL where a refund cannot be in part.
differences AS (
    SELECT
        paid_sums.order_id,
        paid_sums.status,
        paid_sums.total_cents,
        paid_sums.charged_cents,
        paid_sums.refunded_cents,
        CASE
            WHEN paid_sums.total_cents < tolerances.minor_units * tolerances.parts
                THEN tolerances.minor_units
            ELSE CAST(
                (paid_sums.total_cents - paid_sums.total_cents % tolerances.parts)
                / tolerances.parts + 0.25 AS BIGINT
            )
        END AS tolerated_cents,
        CASE
            WHEN paid_sums.status = 'pending' THEN paid_sums.charged_cents
            WHEN
                paid_sums.status = 'cancelled'
                AND paid_sums.charged_cents
                < paid_sums.total_cents - paid_sums.charged_cents
                THEN paid_sums.charged_cents
            WHEN
                paid_sums.status IN (
                    'paid',
                    'shipped',
                    'delivered',
                    'partially_returned',
                    'returned',
                    'cancelled'
                )
                THEN paid_sums.charged_cents - paid_sums.total_cents
            ELSE 0
        END AS charge_difference,
        CASE
            WHEN paid_sums.status IN ('pending', 'paid', 'shipped', 'delivered')
                THEN paid_sums.refunded_cents
            WHEN
                paid_sums.status = 'partially_returned'
                AND (
                    paid_sums.refunded_cents <= 0
                    OR paid_sums.refunded_cents >= paid_sums.total_cents
                )
                THEN NULL
            WHEN paid_sums.status = 'returned'
                THEN paid_sums.refunded_cents - paid_sums.total_cents
            WHEN paid_sums.status = 'cancelled'
                THEN paid_sums.refunded_cents - paid_sums.charged_cents
            ELSE 0
        END AS refund_difference
    FROM paid_sums
    CROSS JOIN tolerances
)

SELECT
    differences.order_id,
    differences.status,
    differences.total_cents,
    differences.charged_cents,
    differences.refunded_cents
FROM differences
WHERE
    ABS(differences.charge_difference) <= differences.tolerated_cents
    AND ABS(differences.refund_difference) <= differences.tolerated_cents
    AND (differences.charge_difference <> 0 OR differences.refund_difference <> 0)
ORDER BY differences.order_id;
