-- Question: which events are after the last day that the manifest states?
-- Key: table_name, row_id.
-- Title: No event is after the last day that the manifest states
-- Severity: error
-- The loader extends `as_of` to the last event, so only the manifest shows that an event is
-- too late.
-- A launch in the future is a plan and not an event, so products are not included.
WITH last_day AS (
    SELECT submission_meta.value AS window_end
    FROM submission_meta
    WHERE
        submission_meta.subject = 'generator'
        AND submission_meta.property = 'window_end'
),

events AS (
    SELECT
        'orders' AS table_name,
        orders.order_id AS row_id,
        orders.ordered_at AS happened_at
    FROM orders
    UNION ALL
    SELECT
        'payments' AS table_name,
        payments.payment_id AS row_id,
        payments.processed_at AS happened_at
    FROM payments
    UNION ALL
    SELECT
        'users' AS table_name,
        users.user_id AS row_id,
        users.signed_up_at AS happened_at
    FROM users
)

SELECT
    events.table_name,
    events.row_id,
    events.happened_at,
    last_day.window_end
FROM events
INNER JOIN last_day
    ON SUBSTR(events.happened_at, 1, 10) > last_day.window_end
ORDER BY events.table_name, events.row_id;
