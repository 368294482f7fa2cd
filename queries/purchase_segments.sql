-- Question: to which segment does each customer belong?
-- Grain: one row per customer with a valid order.
--
-- Run with the CTEs of join_query.sql in front, which define segments and valid orders.
SELECT
    customer_segments.user_id,
    customer_segments.segment
FROM customer_segments
WHERE customer_segments.user_id IN (SELECT order_totals.user_id FROM order_totals)
ORDER BY customer_segments.user_id;
