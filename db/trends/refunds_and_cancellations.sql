-- Question: how many of the orders placed in a month were cancelled or returned?
-- Grain: one row per month with an order of any status.
-- Title: Cancellations and returns by month of the order
-- Statuses are those of the last day of the data: those of recent orders can still change.
SELECT
    SUBSTR(orders.ordered_at, 1, 7) AS month,
    COUNT(*) AS placed_count,
    SUM(CASE WHEN orders.status = 'pending' THEN 1 ELSE 0 END) AS pending_count,
    SUM(CASE WHEN orders.status = 'cancelled' THEN 1 ELSE 0 END) AS cancelled_count,
    SUM(
        CASE
            WHEN orders.status IN (
                'paid', 'shipped', 'delivered', 'partially_returned', 'returned'
            ) THEN 1
            ELSE 0
        END
    ) AS order_count,
    SUM(
        CASE WHEN orders.status = 'partially_returned' THEN 1 ELSE 0 END
    ) AS partially_returned_count,
    SUM(CASE WHEN orders.status = 'returned' THEN 1 ELSE 0 END) AS returned_count
FROM orders
GROUP BY SUBSTR(orders.ordered_at, 1, 7)
ORDER BY SUBSTR(orders.ordered_at, 1, 7);
