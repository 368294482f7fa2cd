-- Question: which products have a price but no cost, although most others have one?
-- Key: product_id.
-- Title: No product lacks the cost that most others have
-- Severity: warning
-- A form that requires a value gets 0 for a cost that is not known.  Where more than half
-- of the products have no cost, the source does not have it.
WITH sizes AS (
    SELECT
        COUNT(*) AS product_count,
        SUM(CASE WHEN products.cost_cents = 0 THEN 1 ELSE 0 END) AS free_count
    FROM products
)

SELECT
    products.product_id,
    products.product_name,
    products.price_cents
FROM products
CROSS JOIN sizes
WHERE
    products.cost_cents = 0
    AND products.price_cents > 0
    AND 2 * sizes.free_count <= sizes.product_count
ORDER BY products.product_id;
