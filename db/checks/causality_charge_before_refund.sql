-- Question: which refunds were paid before the first charge of their order?
-- Key: payment_id.
-- Title: No refund comes before the first charge of its order
-- Severity: error
-- Needs: payments.
-- payments_refund_within_charges finds the refunds of an order without a charge.
WITH refunds AS (
    SELECT
        payments.payment_id,
        payments.order_id,
        payments.processed_at AS refunded_at
    FROM payments
    WHERE
        payments.kind = 'refund'
        AND payments.status = 'succeeded'
),

refunded_orders AS (
    SELECT DISTINCT refunds.order_id
    FROM refunds
),

first_charges AS (
    SELECT
        payments.order_id,
        MIN(payments.processed_at) AS first_charged_at
    FROM refunded_orders
    INNER JOIN payments
        ON refunded_orders.order_id = payments.order_id
    WHERE
        payments.kind = 'charge'
        AND payments.status = 'succeeded'
    GROUP BY payments.order_id
)

SELECT
    refunds.payment_id,
    refunds.order_id,
    first_charges.first_charged_at,
    refunds.refunded_at
FROM refunds
INNER JOIN first_charges
    ON refunds.order_id = first_charges.order_id
WHERE refunds.refunded_at < first_charges.first_charged_at
ORDER BY refunds.payment_id;
