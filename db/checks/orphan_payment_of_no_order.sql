-- Question: which payments refer to an order that does not exist?
-- Key: payment_id.
-- Title: Every payment has an order
-- Severity: error
-- Needs: payments.
SELECT
    payments.payment_id,
    payments.order_id
FROM payments
LEFT JOIN orders
    ON payments.order_id = orders.order_id
WHERE orders.order_id IS NULL
ORDER BY payments.payment_id;
