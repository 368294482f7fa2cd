-- Question: what is the value of each cohort of customers, month by month?
-- Grain: one row per segment x cohort month x months since, from 0 to the month of the
--     as-of day.  A future month has no row; an observed month without activity has
--     zeros.
-- Units: integer cents and counts; queries/cohorts.py computes the ratios.
--
-- Valid orders were paid and not cancelled: paid, shipped, delivered,
-- partially_returned, returned.  A customer is a user with a valid order; the cohort is
-- the month of the first one.  An order counts in the month in which it was placed, a
-- refund in the month in which it was paid (one dated before its order, in the month of
-- the order).  query_result.json gives refunds by both months; the totals are equal.
-- The status is that of the last day of the data, also for an earlier as-of day.
--
-- gross = quantity x unit price.  discount = that of the lines and of the order.
-- refund = for each succeeded refund of a valid order, the share of goods in the
-- order's total, rounded down.  net = gross - discount - refund.  margin = net - cost,
-- where the cost of a returned unit remains.
--
-- Items and payments are aggregated to one row per order before they are joined, so
-- that nothing is counted twice.  A month is a number, 12 x year + month - 1.  The text
-- uses the part of SQL that SQLite 3.37, DuckDB, PostgreSQL and Spark share:
-- (x - x % y) / y is the same in integer and in decimal division, and '' || number is
-- text, in all of them.

-- ---- Options: run_query.py replaces these bodies; elsewhere, edit them --------------

-- --as-of.  One row: the last day that counts; no row if there is no order.
WITH as_of_dates AS (
    SELECT submission_meta.value AS as_of
    FROM submission_meta
    WHERE
        submission_meta.subject = 'dataset'
        AND submission_meta.property = 'as_of'
),

-- --valid-status.  One row per status of an order that counts.
valid_statuses AS (
    SELECT 'paid' AS status
    UNION ALL SELECT 'shipped' AS status
    UNION ALL SELECT 'delivered' AS status
    UNION ALL SELECT 'partially_returned' AS status
    UNION ALL SELECT 'returned' AS status
),

-- --workers.  One row: the users whose user_id, divided by 1009, has a remainder within
-- these bounds count; all by default.  1009 is a prime, so that ids in steps of 10 or
-- 100 are divided evenly too.
counted_remainders AS (
    SELECT
        -1008 AS first_remainder,
        1008 AS last_remainder
),

-- One row per user: all users in one segment.
whole_segments AS (
    SELECT
        users.user_id,
        'all' AS segment
    FROM users
),

-- One row per user: the acquisition channel.
channel_segments AS (
    SELECT
        users.user_id,
        users.acquisition_channel AS segment
    FROM users
),

-- One row per user: the country.
country_segments AS (
    SELECT
        users.user_id,
        users.country_code AS segment
    FROM users
),

-- One row per customer: the first valid order.
first_orders AS (
    SELECT
        orders.user_id,
        orders.order_id,
        ROW_NUMBER() OVER (
            PARTITION BY orders.user_id
            ORDER BY orders.ordered_at, orders.order_id
        ) AS place
    FROM orders
    WHERE
        orders.status IN (SELECT valid_statuses.status FROM valid_statuses)
        AND orders.ordered_at <= (
            SELECT as_of_dates.as_of || 'T23:59:59Z' FROM as_of_dates
        )
        AND orders.user_id % 1009
        BETWEEN (SELECT counted_remainders.first_remainder FROM counted_remainders)
        AND (SELECT counted_remainders.last_remainder FROM counted_remainders)
),

-- One row per customer and category of the first order; place 1 is the largest amount.
first_categories AS (
    SELECT
        first_orders.user_id,
        COALESCE(products.category, 'none') AS category,
        ROW_NUMBER() OVER (
            PARTITION BY first_orders.user_id
            ORDER BY
                SUM(COALESCE(order_items.line_total_cents, 0)) DESC,
                COALESCE(products.category, 'none')
        ) AS place
    FROM first_orders
    LEFT JOIN order_items
        ON first_orders.order_id = order_items.order_id
    LEFT JOIN products
        ON order_items.product_id = products.product_id
    WHERE first_orders.place = 1
    GROUP BY
        first_orders.user_id,
        COALESCE(products.category, 'none')
),

-- One row per customer: the category with the largest amount in the first order.
category_segments AS (
    SELECT
        user_id,
        category AS segment
    FROM first_categories
    WHERE place = 1
),

-- --by.  One row per customer: the segment, from one of the four CTEs above.
customer_segments AS (
    SELECT
        user_id,
        segment
    FROM whole_segments
),

-- ---- The query ----------------------------------------------------------------------

-- One row: the last day that counts, as numbers.
as_of_days AS (
    SELECT
        CAST(SUBSTR(as_of, 1, 4) AS INTEGER) AS year_number,
        CAST(SUBSTR(as_of, 6, 2) AS INTEGER) AS month_number,
        CAST(SUBSTR(as_of, 9, 2) AS INTEGER) AS day_number
    FROM as_of_dates
),

-- One row: the last month observed, and how many days it has.
as_of_months AS (
    SELECT
        year_number * 12 + month_number - 1 AS month_index,
        day_number,
        CASE
            WHEN month_number IN (4, 6, 9, 11) THEN 30
            WHEN month_number <> 2 THEN 31
            WHEN year_number % 400 = 0 THEN 29
            WHEN year_number % 100 = 0 THEN 28
            WHEN year_number % 4 = 0 THEN 29
            ELSE 28
        END AS day_count
    FROM as_of_days
),

-- One row per valid order: its lines summed.  An order without lines is kept.
order_totals AS (
    SELECT
        orders.order_id,
        orders.user_id,
        orders.ordered_at,
        CAST(SUBSTR(orders.ordered_at, 1, 4) AS INTEGER) * 12
        + CAST(SUBSTR(orders.ordered_at, 6, 2) AS INTEGER) - 1 AS month_index,
        COALESCE(SUM(order_items.quantity), 0) AS unit_count,
        COALESCE(SUM(order_items.quantity * order_items.unit_price_cents), 0)
        AS gross_cents,
        orders.discount_cents + COALESCE(SUM(order_items.discount_cents), 0)
        AS discount_cents,
        COALESCE(SUM(order_items.quantity * products.cost_cents), 0) AS cost_cents
    FROM orders
    LEFT JOIN order_items
        ON orders.order_id = order_items.order_id
    LEFT JOIN products
        ON order_items.product_id = products.product_id
    WHERE
        orders.status IN (SELECT valid_statuses.status FROM valid_statuses)
        AND orders.ordered_at <= (
            SELECT as_of_dates.as_of || 'T23:59:59Z' FROM as_of_dates
        )
        AND orders.user_id % 1009
        BETWEEN (SELECT counted_remainders.first_remainder FROM counted_remainders)
        AND (SELECT counted_remainders.last_remainder FROM counted_remainders)
    GROUP BY
        orders.order_id,
        orders.user_id,
        orders.ordered_at,
        orders.discount_cents
),

-- One row per succeeded refund of a valid order.  The share of goods is
-- amount x goods / total; the rest of the total is shipping and tax.
refund_payments AS (
    SELECT
        orders.order_id,
        orders.user_id,
        CASE
            WHEN payments.processed_at < orders.ordered_at THEN orders.ordered_at
            ELSE payments.processed_at
        END AS counted_at,
        CAST(payments.amount_cents AS BIGINT)
        * (orders.subtotal_cents - orders.discount_cents) AS amount_times_goods,
        orders.total_cents
    FROM payments
    INNER JOIN orders
        ON payments.order_id = orders.order_id
    WHERE
        payments.kind = 'refund'
        AND payments.status = 'succeeded'
        AND orders.total_cents > 0
        AND orders.status IN (SELECT valid_statuses.status FROM valid_statuses)
        AND orders.ordered_at <= (
            SELECT as_of_dates.as_of || 'T23:59:59Z' FROM as_of_dates
        )
        AND orders.user_id % 1009
        BETWEEN (SELECT counted_remainders.first_remainder FROM counted_remainders)
        AND (SELECT counted_remainders.last_remainder FROM counted_remainders)
        AND payments.processed_at <= (
            SELECT as_of_dates.as_of || 'T23:59:59Z' FROM as_of_dates
        )
),

-- One row per valid order and month in which part of it was refunded.  Adding 0.25
-- keeps a floating-point quotient, as some engines compute it, at its exact cent,
-- whether the engine's cast rounds or truncates.
order_refunds AS (
    SELECT
        order_id,
        user_id,
        CAST(SUBSTR(counted_at, 1, 4) AS INTEGER) * 12
        + CAST(SUBSTR(counted_at, 6, 2) AS INTEGER) - 1 AS month_index,
        SUM(
            CAST(
                (amount_times_goods - amount_times_goods % total_cents) / total_cents
                + 0.25 AS BIGINT
            )
        ) AS refund_cents
    FROM refund_payments
    GROUP BY
        order_id,
        user_id,
        CAST(SUBSTR(counted_at, 1, 4) AS INTEGER) * 12
        + CAST(SUBSTR(counted_at, 6, 2) AS INTEGER) - 1
),

-- One row per valid order, and one per month in which part of it was refunded.
order_events AS (
    SELECT
        user_id,
        month_index,
        1 AS order_count,
        unit_count,
        gross_cents,
        discount_cents,
        0 AS refund_cents,
        cost_cents
    FROM order_totals
    UNION ALL
    SELECT
        user_id,
        month_index,
        0 AS order_count,
        0 AS unit_count,
        0 AS gross_cents,
        0 AS discount_cents,
        refund_cents,
        0 AS cost_cents
    FROM order_refunds
),

-- One row per user and month with a valid order or a refund of one, with the cohort and
-- the orders so far.  A refund is never counted before its order, so the first month is
-- that of the first order.  The windows are in the SELECT that groups: over another CTE,
-- SQLite would sort its rows a second time.
cohort_user_months AS (
    SELECT
        user_id,
        month_index,
        SUM(order_count) AS order_count,
        SUM(unit_count) AS unit_count,
        SUM(gross_cents) AS gross_cents,
        SUM(discount_cents) AS discount_cents,
        SUM(refund_cents) AS refund_cents,
        SUM(cost_cents) AS cost_cents,
        FIRST_VALUE(month_index) OVER (
            PARTITION BY user_id
            ORDER BY month_index
            ROWS UNBOUNDED PRECEDING
        ) AS cohort_index,
        SUM(SUM(order_count)) OVER (
            PARTITION BY user_id
            ORDER BY month_index
            ROWS UNBOUNDED PRECEDING
        ) AS orders_so_far
    FROM order_events
    GROUP BY
        user_id,
        month_index
),

-- The same rows with the segment.
customer_months AS (
    SELECT
        customer_segments.segment,
        cohort_user_months.user_id,
        cohort_user_months.cohort_index,
        cohort_user_months.month_index,
        cohort_user_months.order_count,
        cohort_user_months.orders_so_far,
        cohort_user_months.unit_count,
        cohort_user_months.gross_cents,
        cohort_user_months.discount_cents,
        cohort_user_months.refund_cents,
        cohort_user_months.gross_cents - cohort_user_months.discount_cents
        - cohort_user_months.refund_cents AS net_cents,
        cohort_user_months.cost_cents
    FROM cohort_user_months
    INNER JOIN customer_segments
        ON cohort_user_months.user_id = customer_segments.user_id
),

-- One row per segment, cohort and month with an order or a refund.
cohort_months AS (
    SELECT
        segment,
        cohort_index,
        month_index,
        SUM(CASE WHEN order_count > 0 THEN 1 ELSE 0 END) AS active_customers,
        SUM(
            CASE
                WHEN orders_so_far >= 2 AND orders_so_far - order_count < 2 THEN 1
                ELSE 0
            END
        ) AS new_repeat_customers,
        SUM(order_count) AS order_count,
        SUM(unit_count) AS unit_count,
        SUM(gross_cents) AS gross_cents,
        SUM(discount_cents) AS discount_cents,
        SUM(refund_cents) AS refund_cents,
        SUM(cost_cents) AS cost_cents
    FROM customer_months
    GROUP BY
        cohort_index,
        month_index,
        segment
),

-- One row per segment, cohort and month with an order or a refund, with the month of
-- the next such row (none after the last).  In the cohort's own month all customers are
-- active.  cohort_months is used only once: otherwise SQLite would store the rows of
-- every CTE before it.
cohort_spans AS (
    SELECT
        segment,
        cohort_index,
        month_index,
        active_customers,
        new_repeat_customers,
        order_count,
        unit_count,
        gross_cents,
        discount_cents,
        refund_cents,
        cost_cents,
        FIRST_VALUE(active_customers) OVER (
            PARTITION BY segment, cohort_index
            ORDER BY month_index
        ) AS cohort_size,
        LEAD(month_index) OVER (
            PARTITION BY segment, cohort_index
            ORDER BY month_index
        ) AS next_month_index
    FROM cohort_months
),

-- Ten rows: 0 to 9.
digits AS (
    SELECT 0 AS digit
    UNION ALL SELECT 1 AS digit
    UNION ALL SELECT 2 AS digit
    UNION ALL SELECT 3 AS digit
    UNION ALL SELECT 4 AS digit
    UNION ALL SELECT 5 AS digit
    UNION ALL SELECT 6 AS digit
    UNION ALL SELECT 7 AS digit
    UNION ALL SELECT 8 AS digit
    UNION ALL SELECT 9 AS digit
),

-- One row per step of 0 to 9,999 months, more than any window has.  The hundreds have
-- their own column, so that a loop over steps ends early.
steps AS (
    SELECT
        thousands.digit * 1000 + hundreds.digit * 100 AS whole_hundreds,
        thousands.digit * 1000 + hundreds.digit * 100 + tens.digit * 10 + ones.digit
        AS step,
        CASE
            WHEN thousands.digit + hundreds.digit + tens.digit + ones.digit = 0 THEN 1
            ELSE 0
        END AS is_first
    FROM digits AS thousands
    CROSS JOIN digits AS hundreds
    CROSS JOIN digits AS tens
    CROSS JOIN digits AS ones
),

-- One row per segment, cohort and observed month: the first step of a span is the month
-- with an event, the others are the months without one before the next span.
cells AS (
    SELECT
        cohort_spans.segment,
        cohort_spans.cohort_index,
        cohort_spans.month_index + steps.step AS month_index,
        cohort_spans.cohort_size,
        CASE
            WHEN cohort_spans.month_index + steps.step < as_of_months.month_index THEN 1
            WHEN as_of_months.day_number = as_of_months.day_count THEN 1
            ELSE 0
        END AS is_complete,
        cohort_spans.active_customers * steps.is_first AS active_customers,
        cohort_spans.new_repeat_customers * steps.is_first AS new_repeat_customers,
        cohort_spans.order_count * steps.is_first AS order_count,
        cohort_spans.unit_count * steps.is_first AS unit_count,
        cohort_spans.gross_cents * steps.is_first AS gross_cents,
        cohort_spans.discount_cents * steps.is_first AS discount_cents,
        cohort_spans.refund_cents * steps.is_first AS refund_cents,
        cohort_spans.cost_cents * steps.is_first AS cost_cents
    FROM cohort_spans
    CROSS JOIN as_of_months
    INNER JOIN steps
        ON
            steps.whole_hundreds
            < COALESCE(cohort_spans.next_month_index, as_of_months.month_index + 1)
            - cohort_spans.month_index
            AND steps.step
            < COALESCE(cohort_spans.next_month_index, as_of_months.month_index + 1)
            - cohort_spans.month_index
)

SELECT
    segment,
    SUBSTR('' || ((120000 + cohort_index - cohort_index % 12) / 12), 2, 4)
    || '-' || SUBSTR('' || (101 + cohort_index % 12), 2, 2) AS cohort_month,
    month_index - cohort_index AS months_since,
    SUBSTR('' || ((120000 + month_index - month_index % 12) / 12), 2, 4)
    || '-' || SUBSTR('' || (101 + month_index % 12), 2, 2) AS period_month,
    cohort_size,
    active_customers,
    SUM(new_repeat_customers) OVER (
        PARTITION BY segment, cohort_index
        ORDER BY month_index
    ) AS repeat_customers,
    order_count,
    unit_count,
    gross_cents,
    discount_cents,
    refund_cents,
    gross_cents - discount_cents - refund_cents AS net_cents,
    cost_cents,
    gross_cents - discount_cents - refund_cents - cost_cents AS margin_cents,
    SUM(gross_cents - discount_cents - refund_cents) OVER (
        PARTITION BY segment, cohort_index
        ORDER BY month_index
    ) AS cum_net_cents,
    SUM(gross_cents - discount_cents - refund_cents - cost_cents) OVER (
        PARTITION BY segment, cohort_index
        ORDER BY month_index
    ) AS cum_margin_cents,
    1 AS is_observed,
    is_complete
FROM cells
ORDER BY
    segment,
    cohort_index,
    month_index;
