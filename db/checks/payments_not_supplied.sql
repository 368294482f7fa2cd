-- Question: are there orders, but no payments?
-- Key: file.
-- Title: Payments are supplied; otherwise refunds count as zero
-- Severity: warning
-- A payments file with a header and no rows: the checks that need payments do not apply.
WITH row_counts AS (
    SELECT
        (SELECT COUNT(*) FROM orders) AS order_count,
        (SELECT COUNT(*) FROM payments) AS payment_count
)

SELECT
    'payments.csv' AS file,
    row_counts.order_count,
    row_counts.payment_count
FROM row_counts
WHERE
    row_counts.order_count > 0
    AND row_counts.payment_count = 0
ORDER BY file;
