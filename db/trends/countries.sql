-- Question: how many customers and how much revenue does each country bring?
-- Grain: one row per country that has a user.
-- Title: Countries
-- Gross, discount, refund and net are defined as in revenue_by_month, over all months.
-- Everything but the column is the same as in channels.sql.
WITH valid_orders AS (
    SELECT
        orders.order_id,
        orders.user_id,
        users.country_code,
        orders.discount_cents,
        orders.subtotal_cents - orders.discount_cents AS goods_cents,
        orders.total_cents
    FROM orders
    INNER JOIN users
        ON orders.user_id = users.user_id
    WHERE orders.status IN (
        'paid', 'shipped', 'delivered', 'partially_returned', 'returned'
    )
),

country_users AS (
    SELECT
        users.country_code,
        COUNT(*) AS user_count
    FROM users
    GROUP BY users.country_code
),

country_orders AS (
    SELECT
        valid_orders.country_code,
        COUNT(*) AS order_count,
        COUNT(DISTINCT valid_orders.user_id) AS customer_count,
        SUM(valid_orders.discount_cents) AS discount_cents
    FROM valid_orders
    GROUP BY valid_orders.country_code
),

country_items AS (
    SELECT
        valid_orders.country_code,
        SUM(order_items.quantity * order_items.unit_price_cents) AS gross_cents,
        SUM(order_items.discount_cents) AS discount_cents
    FROM valid_orders
    INNER JOIN order_items
        ON valid_orders.order_id = order_items.order_id
    GROUP BY valid_orders.country_code
),

refunds AS (
    SELECT
        valid_orders.country_code,
        payments.amount_cents * valid_orders.goods_cents AS weighted_cents,
        valid_orders.total_cents
    FROM payments
    INNER JOIN valid_orders
        ON payments.order_id = valid_orders.order_id
    WHERE
        payments.kind = 'refund'
        AND payments.status = 'succeeded'
        AND valid_orders.total_cents > 0
),

country_refunds AS (
    SELECT
        refunds.country_code,
        SUM(
            CAST(
                (refunds.weighted_cents - refunds.weighted_cents % refunds.total_cents)
                / refunds.total_cents
                + 0.25 AS BIGINT
            )
        ) AS refund_cents
    FROM refunds
    GROUP BY refunds.country_code
)

SELECT
    country_users.country_code,
    country_users.user_count,
    COALESCE(country_orders.customer_count, 0) AS customer_count,
    COALESCE(country_orders.order_count, 0) AS order_count,
    COALESCE(country_items.gross_cents, 0) AS gross_cents,
    COALESCE(country_items.discount_cents, 0)
    + COALESCE(country_orders.discount_cents, 0) AS discount_cents,
    COALESCE(country_refunds.refund_cents, 0) AS refund_cents,
    COALESCE(country_items.gross_cents, 0)
    - COALESCE(country_items.discount_cents, 0)
    - COALESCE(country_orders.discount_cents, 0)
    - COALESCE(country_refunds.refund_cents, 0) AS net_cents
FROM country_users
LEFT JOIN country_orders
    ON country_users.country_code = country_orders.country_code
LEFT JOIN country_items
    ON country_users.country_code = country_items.country_code
LEFT JOIN country_refunds
    ON country_users.country_code = country_refunds.country_code
ORDER BY net_cents DESC, country_users.country_code;
