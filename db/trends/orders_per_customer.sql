-- Question: how many customers have one order, two orders, three orders?
-- Grain: one row per number of valid orders; 10 means ten or more.
-- Title: Orders per customer
-- The + 0 keeps SQLite from reading the orders by the index of their users, from all over
-- the table.  The first two CTEs are those of cohort_first_is_too_large.sql too, so that a
-- report computes them once.
WITH valid_orders AS (
    SELECT
        orders.user_id + 0 AS user_id,
        SUBSTR(orders.ordered_at, 1, 7) AS month
    FROM orders
    WHERE orders.status IN (
        'paid', 'shipped', 'delivered', 'partially_returned', 'returned'
    )
),

customer_orders AS (
    SELECT
        valid_orders.user_id,
        MIN(valid_orders.month) AS first_month,
        COUNT(*) AS order_count
    FROM valid_orders
    GROUP BY valid_orders.user_id
),

capped_orders AS (
    SELECT
        CASE
            WHEN customer_orders.order_count > 10 THEN 10
            ELSE customer_orders.order_count
        END AS orders_per_customer,
        customer_orders.order_count
    FROM customer_orders
)

SELECT
    capped_orders.orders_per_customer,
    COUNT(*) AS customer_count,
    SUM(capped_orders.order_count) AS order_count
FROM capped_orders
GROUP BY capped_orders.orders_per_customer
ORDER BY capped_orders.orders_per_customer;
