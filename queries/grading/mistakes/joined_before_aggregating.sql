-- Mistake: lines and payments are joined before they are aggregated
-- Why: an order with two lines and three payments becomes six rows, so its amounts are
--     added up several times.
-- Instead: aggregate lines and payments to one row per order each, then join.
WITH order_totals AS (
    SELECT
        order_id,
        user_id,
        ordered_at,
        month_index,
        unit_count * payment_count AS unit_count,
        gross_cents * payment_count AS gross_cents,
        (discount_cents - order_discount_cents) * payment_count
        + order_discount_cents * payment_count * line_count AS discount_cents,
        cost_cents * payment_count AS cost_cents
    FROM (
        SELECT
            previous_rows.*,
            orders.discount_cents AS order_discount_cents,
            MAX(1, (
                SELECT COUNT(*) FROM payments WHERE payments.order_id = orders.order_id
            )) AS payment_count,
            MAX(1, (
                SELECT COUNT(*) FROM order_items
                WHERE order_items.order_id = orders.order_id
            )) AS line_count
        FROM previous_rows
        INNER JOIN orders
            ON previous_rows.order_id = orders.order_id
    )
),

order_refunds AS (
    SELECT
        order_id,
        user_id,
        month_index,
        refund_cents * MAX(1, (
            SELECT COUNT(*) FROM order_items
            WHERE order_items.order_id = previous_rows.order_id
        )) AS refund_cents
    FROM previous_rows
)
