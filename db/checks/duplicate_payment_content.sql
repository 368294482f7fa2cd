-- Question: which payments repeat an earlier payment of their order, to the second and cent?
-- Key: payment_id.
-- Title: No payment has the content of another one
-- Severity: warning
-- A source that delivers an event twice gives the copy a number of its own.  Payments at
-- 00:00:00 are not compared: their source has days only.
SELECT
    later_payments.payment_id,
    MIN(earlier_payments.payment_id) AS first_payment_id,
    later_payments.order_id,
    later_payments.processed_at,
    later_payments.amount_cents
FROM payments AS later_payments
INNER JOIN payments AS earlier_payments
    ON
        later_payments.order_id = earlier_payments.order_id
        AND later_payments.processed_at = earlier_payments.processed_at
        AND later_payments.amount_cents = earlier_payments.amount_cents
        AND later_payments.kind = earlier_payments.kind
        AND later_payments.method = earlier_payments.method
        AND later_payments.status = earlier_payments.status
        AND later_payments.payment_id > earlier_payments.payment_id
WHERE SUBSTR(later_payments.processed_at, 12, 8) <> '00:00:00'
GROUP BY
    later_payments.payment_id,
    later_payments.order_id,
    later_payments.processed_at,
    later_payments.amount_cents
ORDER BY later_payments.payment_id;
