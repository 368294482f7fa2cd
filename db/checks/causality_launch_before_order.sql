-- Question: which items were ordered before their product was launched?
-- Key: order_item_id.
-- Title: No product is ordered before its launch
-- Severity: error
-- The comparison is a column.  As a condition it would connect orders with products, and
-- an engine may then compare every order with every product before it reads the items.
WITH ordered_items AS (
    SELECT
        order_items.order_item_id,
        order_items.order_id,
        order_items.product_id,
        products.launched_at,
        orders.ordered_at,
        CASE
            WHEN products.launched_at > orders.ordered_at THEN 1
            ELSE 0
        END AS is_before_launch
    FROM order_items
    INNER JOIN orders
        ON order_items.order_id = orders.order_id
    INNER JOIN products
        ON order_items.product_id = products.product_id
)

SELECT
    ordered_items.order_item_id,
    ordered_items.order_id,
    ordered_items.product_id,
    ordered_items.launched_at,
    ordered_items.ordered_at
FROM ordered_items
WHERE ordered_items.is_before_launch = 1
ORDER BY ordered_items.order_item_id;
