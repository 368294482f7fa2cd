-- Question: how many of the orders placed in a month were cancelled or returned?
-- Grain: one row per month with an order of any status.
-- Title: Cancellations and returns by month of the order
-- Statuses are those of the last day of the data: those of recent orders can still change.
-- The first CTE is that of weekday_by_hour.sql and
-- volume_unusual_day.sql too, so that a report computes it once.
WITH order_hours AS (
    SELECT
        SUBSTR(orders.ordered_at, 1, 13) AS date_hour,
        orders.status,
        COUNT(*) AS order_count
    FROM orders
    GROUP BY SUBSTR(orders.ordered_at, 1, 13), orders.status
)

SELECT
    SUBSTR(order_hours.date_hour, 1, 7) AS month,
    SUM(order_hours.order_count) AS placed_count,
    SUM(
        CASE WHEN order_hours.status = 'pending' THEN order_hours.order_count ELSE 0 END
    ) AS pending_count,
    SUM(
        CASE WHEN order_hours.status = 'cancelled' THEN order_hours.order_count ELSE 0 END
    ) AS cancelled_count,
    SUM(
        CASE
            WHEN order_hours.status IN (
                'paid', 'shipped', 'delivered', 'partially_returned', 'returned'
            ) THEN order_hours.order_count
            ELSE 0
        END
    ) AS order_count,
    SUM(
        CASE
            WHEN order_hours.status = 'partially_returned' THEN order_hours.order_count
            ELSE 0
        END
    ) AS partially_returned_count,
    SUM(
        CASE WHEN order_hours.status = 'returned' THEN order_hours.order_count ELSE 0 END
    ) AS returned_count
FROM order_hours
GROUP BY SUBSTR(order_hours.date_hour, 1, 7)
ORDER BY SUBSTR(order_hours.date_hour, 1, 7);
