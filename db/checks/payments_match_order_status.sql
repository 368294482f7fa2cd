-- Question: which orders have charges and refunds that do not match their status?
-- Key: order_id.
-- Title: The payments of an order match its status
-- Severity: error
-- Only payments that succeeded count.  What each status means for the money:
--   pending                   no charge and no refund
--   paid, shipped, delivered  charged in full, not refunded
--   partially_returned        charged in full, refunded in part
--   returned                  charged in full, refunded in full
--   cancelled                 no charge and no refund, or both in full
WITH paid_sums AS (
    SELECT
        orders.order_id,
        orders.status,
        orders.total_cents,
        COALESCE(SUM(
            CASE WHEN payments.kind = 'charge' THEN payments.amount_cents END
        ), 0) AS charged_cents,
        COALESCE(SUM(
            CASE WHEN payments.kind = 'refund' THEN payments.amount_cents END
        ), 0) AS refunded_cents
    FROM orders
    LEFT JOIN payments
        ON
            orders.order_id = payments.order_id
            AND payments.status = 'succeeded'
    GROUP BY orders.order_id, orders.status, orders.total_cents
)

SELECT
    paid_sums.order_id,
    paid_sums.status,
    paid_sums.total_cents,
    paid_sums.charged_cents,
    paid_sums.refunded_cents
FROM paid_sums
WHERE
    (
        paid_sums.status = 'pending'
        AND (paid_sums.charged_cents <> 0 OR paid_sums.refunded_cents <> 0)
    )
    OR (
        paid_sums.status IN ('paid', 'shipped', 'delivered')
        AND (
            paid_sums.charged_cents <> paid_sums.total_cents
            OR paid_sums.refunded_cents <> 0
        )
    )
    OR (
        paid_sums.status = 'partially_returned'
        AND (
            paid_sums.charged_cents <> paid_sums.total_cents
            OR paid_sums.refunded_cents <= 0
            OR paid_sums.refunded_cents >= paid_sums.total_cents
        )
    )
    OR (
        paid_sums.status = 'returned'
        AND (
            paid_sums.charged_cents <> paid_sums.total_cents
            OR paid_sums.refunded_cents <> paid_sums.total_cents
        )
    )
    OR (
        paid_sums.status = 'cancelled'
        AND (
            paid_sums.charged_cents <> paid_sums.refunded_cents
            OR (
                paid_sums.charged_cents <> 0
                AND paid_sums.charged_cents <> paid_sums.total_cents
            )
        )
    )
ORDER BY paid_sums.order_id;
