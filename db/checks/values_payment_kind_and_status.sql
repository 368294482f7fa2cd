-- Question: which payments have a kind or a status that schema.sql does not allow?
-- Key: payment_id.
-- Title: Every payment has an allowed kind and status
-- Severity: error
-- Needs: payments.
SELECT
    payments.payment_id,
    payments.order_id,
    payments.kind,
    payments.status
FROM payments
WHERE
    payments.kind NOT IN ('charge', 'refund')
    OR payments.status NOT IN ('succeeded', 'failed')
ORDER BY payments.payment_id;
