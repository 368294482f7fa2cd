-- Question: which orders have a subtotal other than the sum of their lines?
-- Key: order_id.
-- Title: The lines of an order add up to its subtotal
-- Severity: error
-- coverage_orders_without_items finds the orders without lines.
WITH line_sums AS (
    SELECT
        order_items.order_id,
        SUM(order_items.line_total_cents) AS line_total_cents
    FROM order_items
    GROUP BY order_items.order_id
)

SELECT
    orders.order_id,
    orders.subtotal_cents,
    line_sums.line_total_cents
FROM line_sums
INNER JOIN orders
    ON line_sums.order_id = orders.order_id
WHERE orders.subtotal_cents <> line_sums.line_total_cents
ORDER BY orders.order_id;
