-- Question: which orders were refunded more than they were charged?
-- Key: order_id.
-- Title: No order is refunded more than it was charged
-- Severity: error
WITH refunded_orders AS (
    SELECT DISTINCT payments.order_id
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
WHERE paid_sums.refunded_cents > paid_sums.charged_cents
ORDER BY paid_sums.order_id;
