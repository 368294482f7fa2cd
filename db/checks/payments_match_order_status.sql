-- Question: which orders have charges and refunds that do not match their status?
-- Key: order_id.
-- Title: The payments of an order match its status
-- Severity: error
-- Needs: payments.
-- Only payments that succeeded count.  What each status means for the money:
--   pending                   no charge and no refund
--   paid, shipped, delivered  charged in full, not refunded
--   partially_returned        charged in full, refunded in part
--   returned                  charged in full, refunded in full
--   cancelled                 no charge and no refund, or both in full
-- payments_differ_by_rounding finds the differences within the tolerances.
-- payments_refund_within_charges has the same tolerances; change all three.
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
    -- Most orders have no difference, and SQLite computes each use of a column again.
    (differences.charge_difference <> 0 OR COALESCE(differences.refund_difference, 1) <> 0)
    AND (
        differences.refund_difference IS NULL
        OR ABS(differences.charge_difference) > differences.tolerated_cents
        OR ABS(differences.refund_difference) > differences.tolerated_cents
    )
ORDER BY differences.order_id;
