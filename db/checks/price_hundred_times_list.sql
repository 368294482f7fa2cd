-- Question: which lines were sold at 30 times the list price or more, or at a thirtieth?
-- Key: order_item_id.
-- Title: No unit price is near 100 times the list price, or a hundredth
-- Severity: warning
-- An amount in cents that was read as units, or the other way round, is 100 times too large
-- or too small.  A list price may have changed since the launch, but not by a factor of 30.
-- Below 30 cents a thirtieth has no meaning, and a free product is not a fault.
SELECT
    order_items.order_item_id,
    order_items.order_id,
    order_items.product_id,
    order_items.unit_price_cents,
    products.price_cents
FROM order_items
INNER JOIN products
    ON order_items.product_id = products.product_id
WHERE
    products.price_cents >= 30
    AND order_items.unit_price_cents > 0
    AND (
        order_items.unit_price_cents >= 30 * products.price_cents
        OR order_items.unit_price_cents * 30 <= products.price_cents
    )
ORDER BY order_items.order_item_id;
