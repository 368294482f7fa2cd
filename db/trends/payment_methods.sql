-- Question: how do customers pay, and how often does a payment fail?
-- Grain: one row per payment method.
-- Title: Payment methods
-- The payments of all orders are included: a charge fails before its order becomes valid.
SELECT
    payments.method,
    SUM(CASE WHEN payments.kind = 'charge' THEN 1 ELSE 0 END) AS charge_count,
    SUM(
        CASE
            WHEN payments.kind = 'charge' AND payments.status = 'failed' THEN 1
            ELSE 0
        END
    ) AS failed_count,
    SUM(
        CASE
            WHEN payments.kind = 'charge' AND payments.status = 'succeeded'
                THEN payments.amount_cents
            ELSE 0
        END
    ) AS charged_cents,
    SUM(
        CASE
            WHEN payments.kind = 'refund' AND payments.status = 'succeeded'
                THEN payments.amount_cents
            ELSE 0
        END
    ) AS refunded_cents
FROM payments
GROUP BY payments.method
ORDER BY charge_count DESC, payments.method;
