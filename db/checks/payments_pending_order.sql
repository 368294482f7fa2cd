-- Question: which pending orders were charged or refunded?
-- Key: order_id.
-- Title: No money moves for an order that is pending
-- Severity: error
WITH paid_sums AS (
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
    WHERE orders.status = 'pending'
    GROUP BY orders.order_id, orders.status, orders.total_cents
)

SELECT
    paid_sums.order_id,
    paid_sums.status,
    paid_sums.total_cents,
    paid_sums.charged_cents,
    paid_sums.refunded_cents
FROM paid_sums
WHERE
    paid_sums.charged_cents <> 0
    OR paid_sums.refunded_cents <> 0
ORDER BY paid_sums.order_id;
