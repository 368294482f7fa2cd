-- Question: which primary keys occur more than once?
-- Key: table_name, row_id.
-- Title: No primary key occurs twice
-- Severity: error
WITH key_counts AS (
    SELECT
        'order_items' AS table_name,
        order_items.order_item_id AS row_id,
        COUNT(*) AS row_count
    FROM order_items
    GROUP BY order_items.order_item_id
    HAVING COUNT(*) > 1
    UNION ALL
    SELECT
        'orders' AS table_name,
        orders.order_id AS row_id,
        COUNT(*) AS row_count
    FROM orders
    GROUP BY orders.order_id
    HAVING COUNT(*) > 1
    UNION ALL
    SELECT
        'payments' AS table_name,
        payments.payment_id AS row_id,
        COUNT(*) AS row_count
    FROM payments
    GROUP BY payments.payment_id
    HAVING COUNT(*) > 1
    UNION ALL
    SELECT
        'products' AS table_name,
        products.product_id AS row_id,
        COUNT(*) AS row_count
    FROM products
    GROUP BY products.product_id
    HAVING COUNT(*) > 1
    UNION ALL
    SELECT
        'users' AS table_name,
        users.user_id AS row_id,
        COUNT(*) AS row_count
    FROM users
    GROUP BY users.user_id
    HAVING COUNT(*) > 1
)

SELECT
    key_counts.table_name,
    key_counts.row_id,
    key_counts.row_count
FROM key_counts
ORDER BY key_counts.table_name, key_counts.row_id;
