-- Question: which primary keys are below 1?
-- Key: table_name, row_id.
-- Title: Every primary key is a positive number
-- Severity: error
WITH row_ids AS (
    SELECT
        'order_items' AS table_name,
        order_items.order_item_id AS row_id
    FROM order_items
    WHERE order_items.order_item_id < 1
    UNION ALL
    SELECT
        'orders' AS table_name,
        orders.order_id AS row_id
    FROM orders
    WHERE orders.order_id < 1
    UNION ALL
    SELECT
        'payments' AS table_name,
        payments.payment_id AS row_id
    FROM payments
    WHERE payments.payment_id < 1
    UNION ALL
    SELECT
        'products' AS table_name,
        products.product_id AS row_id
    FROM products
    WHERE products.product_id < 1
    UNION ALL
    SELECT
        'users' AS table_name,
        users.user_id AS row_id
    FROM users
    WHERE users.user_id < 1
)

SELECT
    row_ids.table_name,
    row_ids.row_id
FROM row_ids
ORDER BY row_ids.table_name, row_ids.row_id;
