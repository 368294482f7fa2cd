-- Question: which events are after the last day of the data?
-- Key: table_name, row_id.
-- Title: No event is after the last day of the data
-- Severity: error
-- The last day is the `as_of` that the loader recorded.  If a manifest or `--as-of` states
-- it, a later event is wrong; otherwise it is the day of the last event, so that only rows
-- added or changed after the load are later.
-- A launch in the future is a plan and not an event, so products are not included.
WITH last_day AS (
    SELECT submission_meta.value AS as_of
    FROM submission_meta
    WHERE
        submission_meta.subject = 'dataset'
        AND submission_meta.property = 'as_of'
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
    last_day.as_of
FROM events
INNER JOIN last_day
    ON SUBSTR(events.happened_at, 1, 10) > last_day.as_of
ORDER BY events.table_name, events.row_id;
