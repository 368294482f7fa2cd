-- Question: which cells have a placeholder, such as n/a or 1970-01-01, or a test entry?
-- Key: table_name, row_id, column_name.
-- Title: No cell has a placeholder in place of its value
-- Severity: warning
-- A form that requires a value gets one of these.  Only complete texts are compared: Null
-- and Test are names too; most texts are longer than any placeholder.  Country codes are
-- not searched, because NA is Namibia.  Where more than half of the rows have one, the
-- source has no such column, and that is not a fault of rows.
WITH cells AS (
    SELECT
        'products' AS table_name,
        products.product_id AS row_id,
        'category' AS column_name,
        products.category AS cell
    FROM products
    UNION ALL
    SELECT
        'products' AS table_name,
        products.product_id AS row_id,
        'launched_at' AS column_name,
        SUBSTR(products.launched_at, 1, 10) AS cell
    FROM products
    UNION ALL
    SELECT
        'products' AS table_name,
        products.product_id AS row_id,
        'product_name' AS column_name,
        products.product_name AS cell
    FROM products
    UNION ALL
    SELECT
        'users' AS table_name,
        users.user_id AS row_id,
        'city' AS column_name,
        users.city AS cell
    FROM users
    UNION ALL
    SELECT
        'users' AS table_name,
        users.user_id AS row_id,
        'email' AS column_name,
        users.email AS cell
    FROM users
    WHERE LOWER(SUBSTR(users.email, 1, 3)) IN ('dum', 'na@', 'nob', 'non', 'nul', 'tes', 'unk')
    UNION ALL
    SELECT
        'users' AS table_name,
        users.user_id AS row_id,
        'full_name' AS column_name,
        users.full_name AS cell
    FROM users
    UNION ALL
    SELECT
        'users' AS table_name,
        users.user_id AS row_id,
        'signed_up_at' AS column_name,
        SUBSTR(users.signed_up_at, 1, 10) AS cell
    FROM users
),

found AS (
    SELECT
        cells.table_name,
        cells.row_id,
        cells.column_name,
        cells.cell
    FROM cells
    WHERE
        (
            LENGTH(cells.cell) <= 13
            AND LOWER(cells.cell) IN (
                '1900-01-01', '1970-01-01',
                '-', '--', '---', '.', '?', '0', '#n/a',
                'n.a.', 'n/a', 'na', 'nan', 'none', 'null', 'nil', 'not available', 'tbd',
                'undefined', 'unknown', 'xxx',
                'anonymous', 'dummy', 'guest', 'test', 'test customer', 'test product',
                'test test', 'test user', 'tester', 'testing'
            )
        )
        OR (
            cells.column_name = 'email'
            AND (
                LOWER(SUBSTR(cells.cell, 1, 3)) = 'na@'
                OR LOWER(SUBSTR(cells.cell, 1, 5)) IN ('none@', 'null@', 'test@')
                OR LOWER(SUBSTR(cells.cell, 1, 6)) = 'dummy@'
                OR LOWER(SUBSTR(cells.cell, 1, 7)) IN ('nobody@', 'tester@')
                OR LOWER(SUBSTR(cells.cell, 1, 8)) = 'unknown@'
            )
        )
),

counted AS (
    SELECT
        found.table_name,
        found.row_id,
        found.column_name,
        found.cell,
        COUNT(*) OVER (PARTITION BY found.table_name, found.column_name) AS found_count
    FROM found
),

sizes AS (
    SELECT
        'products' AS table_name,
        COUNT(*) AS row_count
    FROM products
    UNION ALL
    SELECT
        'users' AS table_name,
        COUNT(*) AS row_count
    FROM users
)

SELECT
    counted.table_name,
    counted.row_id,
    counted.column_name,
    counted.cell
FROM counted
INNER JOIN sizes
    ON counted.table_name = sizes.table_name
WHERE 2 * counted.found_count <= sizes.row_count
ORDER BY counted.table_name, counted.row_id, counted.column_name;
