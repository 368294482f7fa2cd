-- Question: on which days did each customer buy, and for how much?
-- Grain: one row per customer and day with a valid order; orders of one day are one
--     purchase, as in the published BG/NBD studies.
-- Units: integer cents of goods after discounts, before refunds.
--
-- Run with the CTEs of join_query.sql in front, which define the orders that count.
SELECT
    order_totals.user_id,
    SUBSTR(order_totals.ordered_at, 1, 10) AS order_date,
    SUM(order_totals.gross_cents - order_totals.discount_cents) AS goods_cents
FROM order_totals
GROUP BY
    order_totals.user_id,
    SUBSTR(order_totals.ordered_at, 1, 10)
ORDER BY
    order_totals.user_id,
    order_date;
