-- Question: which tables have a different number of rows than their file?
-- Key: table_name.
-- Title: Every table has as many rows as its file
-- Severity: error
-- A table without recorded facts of its file is listed too: its source is unknown.
WITH table_rows AS (
    SELECT
        'order_items' AS table_name,
        COUNT(*) AS row_count
    FROM order_items
    UNION ALL
    SELECT
        'orders' AS table_name,
        COUNT(*) AS row_count
    FROM orders
    UNION ALL
    SELECT
        'payments' AS table_name,
        COUNT(*) AS row_count
    FROM payments
    UNION ALL
    SELECT
        'products' AS table_name,
        COUNT(*) AS row_count
    FROM products
    UNION ALL
    SELECT
        'users' AS table_name,
        COUNT(*) AS row_count
    FROM users
),

file_rows AS (
    SELECT
        submission_meta.subject AS file,
        CAST(submission_meta.value AS BIGINT) AS row_count
    FROM submission_meta
    WHERE submission_meta.property = 'rows'
)

SELECT
    table_rows.table_name,
    table_rows.row_count AS rows_in_table,
    file_rows.row_count AS rows_in_file
FROM table_rows
LEFT JOIN file_rows
    ON table_rows.table_name || '.csv' = file_rows.file
WHERE
    file_rows.row_count IS NULL
    OR table_rows.row_count <> file_rows.row_count
ORDER BY table_rows.table_name;
