-- Question: what happened after the last day that the manifest states?
-- Key: table_name, row_id.
-- Title: Nothing happens after the last day that the manifest states
-- Severity: error
-- The loader's as_of follows the last event, so that it cannot show one to be too late.
-- A launch ahead is a plan, not an event, so products are left out.
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
