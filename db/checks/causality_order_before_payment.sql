-- Question: which payments were processed before their order was placed?
-- Key: payment_id.
-- Title: No payment is processed before its order is placed
-- Severity: error
-- Needs: payments.
SELECT
    payments.payment_id,
    payments.order_id,
    orders.ordered_at,
    payments.processed_at
FROM payments
INNER JOIN orders
    ON payments.order_id = orders.order_id
WHERE payments.processed_at < orders.ordered_at
ORDER BY payments.payment_id;
