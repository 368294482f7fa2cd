-- Question: which orders have a total other than the sum of their parts?
-- Key: order_id.
-- Title: The total of an order is subtotal minus discount plus shipping plus tax
-- Severity: error
SELECT
    orders.order_id,
    orders.subtotal_cents,
    orders.discount_cents,
    orders.shipping_cents,
    orders.tax_cents,
    orders.total_cents
FROM orders
WHERE
    orders.total_cents
    <> orders.subtotal_cents - orders.discount_cents
    + orders.shipping_cents + orders.tax_cents
ORDER BY orders.order_id;
