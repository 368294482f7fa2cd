-- Question: which categories, brands, channels and cities have more than one spelling?
-- Key: table_name, column_name, spelling.
-- Title: No group has several spellings
-- Severity: warning
-- Spellings are compared without case, blanks, hyphens, underscores, points, apostrophes
-- and slashes, and with and for &.  Each spelling is a group of its own in every figure.
WITH spellings AS (
    SELECT
        'products' AS table_name,
        'brand' AS column_name,
        products.brand AS spelling,
        COUNT(*) AS row_count
    FROM products
    GROUP BY products.brand
    UNION ALL
    SELECT
        'products' AS table_name,
        'category' AS column_name,
        products.category AS spelling,
        COUNT(*) AS row_count
    FROM products
    GROUP BY products.category
    UNION ALL
    SELECT
        'users' AS table_name,
        'acquisition_channel' AS column_name,
        users.acquisition_channel AS spelling,
        COUNT(*) AS row_count
    FROM users
    GROUP BY users.acquisition_channel
    UNION ALL
    SELECT
        'users' AS table_name,
        'city' AS column_name,
        users.city AS spelling,
        COUNT(*) AS row_count
    FROM users
    GROUP BY users.city
),

folded AS (
    SELECT
        spellings.table_name,
        spellings.column_name,
        spellings.spelling,
        spellings.row_count,
        REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(
            LOWER(spellings.spelling),
            ' ', ''), '-', ''), '_', ''), '.', ''), '''', ''), '/', ''), '&', 'and')
            AS folded_spelling
    FROM spellings
),

counted AS (
    SELECT
        folded.table_name,
        folded.column_name,
        folded.spelling,
        folded.row_count,
        folded.folded_spelling,
        COUNT(*) OVER (
            PARTITION BY folded.table_name, folded.column_name, folded.folded_spelling
        ) AS spelling_count
    FROM folded
)

SELECT
    counted.table_name,
    counted.column_name,
    counted.spelling,
    counted.row_count,
    counted.folded_spelling
FROM counted
WHERE counted.spelling_count > 1
ORDER BY counted.table_name, counted.column_name, counted.spelling;
