-- Question: which orders repeat an earlier order of their user, to the second and the cent?
-- Key: order_id.
-- Title: No order has the content of another one
-- Severity: warning
-- A source that delivers an event twice, or a day that was loaded twice, gives the copy a
-- number of its own.  Orders at 00:00:00 are not compared: their source has days only, and
-- a customer may order the same again on one day.
-- Few orders share their second, so only these are compared.  The + 0 keeps SQLite from
-- reading the orders by the index of their users, from all over the table.
WITH repeated AS (
    SELECT orders.ordered_at
    FROM orders
    GROUP BY orders.ordered_at
    HAVING COUNT(*) > 1 AND SUBSTR(orders.ordered_at, 12, 8) <> '00:00:00'
),

candidates AS (
    SELECT
        orders.order_id,
        orders.user_id + 0 AS user_id,
        orders.ordered_at,
        orders.subtotal_cents,
        orders.total_cents
    FROM orders
    WHERE orders.ordered_at IN (
        SELECT repeated.ordered_at
        FROM repeated
    )
),

numbered AS (
    SELECT
        candidates.order_id,
        candidates.user_id,
        candidates.ordered_at,
        candidates.total_cents,
        MIN(candidates.order_id) OVER (
            PARTITION BY
                candidates.user_id,
                candidates.ordered_at,
                candidates.subtotal_cents,
                candidates.total_cents
        ) AS first_order_id
    FROM candidates
)

SELECT
    numbered.order_id,
    numbered.first_order_id,
    numbered.user_id,
    numbered.ordered_at,
    numbered.total_cents
FROM numbered
WHERE numbered.order_id > numbered.first_order_id
ORDER BY numbered.order_id;
