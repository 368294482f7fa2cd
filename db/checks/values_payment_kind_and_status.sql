-- Question: which payments have a kind or a status that the contract does not know?
-- Key: payment_id.
-- Title: Every payment's kind and status are known words
-- Severity: error
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
