-- Question: which order numbers are missing between two days?
-- Key: first_missing_id.
-- Title: No order numbers are missing between two days
-- Severity: warning
-- Orders that never arrived leave a gap in consecutive numbers, also where a day has few
-- orders.  The gap is between two runs of at least 100 consecutive numbers, because the
-- numbers of many shops have gaps of their own, and the runs end and begin on two days: all
-- of a day, or the end of one, never arrived.  At most one of ten numbers between them did.
WITH limits AS (
    SELECT
        100 AS fewest_consecutive,
        10 AS one_in
),

run_starts AS (
    SELECT
        orders.order_id,
        ROW_NUMBER() OVER (ORDER BY orders.order_id) AS run_number
    FROM orders
    LEFT JOIN orders AS earlier_orders
        ON orders.order_id - 1 = earlier_orders.order_id
    WHERE earlier_orders.order_id IS NULL
),

run_ends AS (
    SELECT
        orders.order_id,
        ROW_NUMBER() OVER (ORDER BY orders.order_id) AS run_number
    FROM orders
    LEFT JOIN orders AS later_orders
        ON orders.order_id + 1 = later_orders.order_id
    WHERE later_orders.order_id IS NULL
),

runs AS (
    SELECT
        run_starts.run_number,
        run_starts.order_id AS first_id,
        run_ends.order_id AS last_id,
        SUM(run_ends.order_id - run_starts.order_id + 1) OVER (
            ORDER BY run_starts.run_number
            ROWS UNBOUNDED PRECEDING
        ) AS order_count,
        CASE
            WHEN run_ends.order_id - run_starts.order_id + 1 >= limits.fewest_consecutive
                THEN 1
            ELSE 0
        END AS is_long
    FROM run_starts
    INNER JOIN run_ends
        ON run_starts.run_number = run_ends.run_number
    CROSS JOIN limits
),

-- The gap after each run, and the last long run before it and the first one after it.
gaps AS (
    SELECT
        runs.last_id,
        LEAD(runs.first_id) OVER (ORDER BY runs.run_number) AS next_first_id,
        MAX(CASE WHEN runs.is_long = 1 THEN runs.last_id END) OVER earlier_runs
            AS long_last_id,
        MAX(CASE WHEN runs.is_long = 1 THEN runs.order_count END) OVER earlier_runs
            AS long_order_count,
        MIN(CASE WHEN runs.is_long = 1 THEN runs.first_id END) OVER later_runs
            AS next_long_first_id,
        MIN(
            CASE
                WHEN runs.is_long = 1
                    THEN runs.order_count - (runs.last_id - runs.first_id + 1)
            END
        ) OVER later_runs AS next_long_order_count
    FROM runs
    WINDOW
        earlier_runs AS (
            ORDER BY runs.run_number
            ROWS UNBOUNDED PRECEDING
        ),
        later_runs AS (
            ORDER BY runs.run_number
            ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING
        )
)

SELECT
    gaps.last_id + 1 AS first_missing_id,
    gaps.next_first_id - 1 AS last_missing_id,
    SUBSTR(earlier_orders.ordered_at, 1, 10) AS day_before,
    SUBSTR(later_orders.ordered_at, 1, 10) AS day_after
FROM gaps
CROSS JOIN limits
INNER JOIN orders AS earlier_orders
    ON gaps.long_last_id = earlier_orders.order_id
INNER JOIN orders AS later_orders
    ON gaps.next_long_first_id = later_orders.order_id
WHERE
    (gaps.next_long_order_count - gaps.long_order_count) * limits.one_in
    <= gaps.next_long_first_id - gaps.long_last_id - 1
    AND SUBSTR(earlier_orders.ordered_at, 1, 10) < SUBSTR(later_orders.ordered_at, 1, 10)
ORDER BY first_missing_id;
