-- Question: which rows have a negative amount, or a quantity below one?
-- Key: table_name, row_id.
-- Title: No amount is negative and no quantity is below one
-- Severity: error
-- A row with several faults is listed once, with the first column at fault.
WITH faults AS (
    SELECT
        'order_items' AS table_name,
        order_items.order_item_id AS row_id,
        CASE
            WHEN order_items.quantity < 1 THEN 'quantity'
            WHEN order_items.unit_price_cents < 0 THEN 'unit_price_cents'
            WHEN order_items.discount_cents < 0 THEN 'discount_cents'
        END AS column_name
    FROM order_items
    UNION ALL
    SELECT
        'orders' AS table_name,
        orders.order_id AS row_id,
        CASE
            WHEN orders.subtotal_cents < 0 THEN 'subtotal_cents'
            WHEN orders.discount_cents < 0 THEN 'discount_cents'
            WHEN orders.shipping_cents < 0 THEN 'shipping_cents'
            WHEN orders.tax_cents < 0 THEN 'tax_cents'
        END AS column_name
    FROM orders
    UNION ALL
    SELECT
        'payments' AS table_name,
        payments.payment_id AS row_id,
        CASE
            WHEN payments.amount_cents < 0 THEN 'amount_cents'
        END AS column_name
    FROM payments
    UNION ALL
    SELECT
        'products' AS table_name,
        products.product_id AS row_id,
        CASE
            WHEN products.price_cents < 0 THEN 'price_cents'
            WHEN products.cost_cents < 0 THEN 'cost_cents'
        END AS column_name
    FROM products
)

SELECT
    faults.table_name,
    faults.row_id,
    faults.column_name
FROM faults
WHERE faults.column_name IS NOT NULL
ORDER BY faults.table_name, faults.row_id;
