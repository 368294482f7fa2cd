-- Question: which texts of users and products would a spreadsheet run as a formula?
-- Key: table_name, row_id.
-- Title: Texts that a spreadsheet would run as a formula
-- Severity: info
-- The data are not changed; an export to a spreadsheet has to escape these texts.
WITH first_characters AS (
    SELECT
        'products' AS table_name,
        products.product_id AS row_id,
        SUBSTR(products.sku, 1, 1) AS first_character,
        products.sku AS text_value
    FROM products
    UNION ALL
    SELECT
        'products' AS table_name,
        products.product_id AS row_id,
        SUBSTR(products.product_name, 1, 1) AS first_character,
        products.product_name AS text_value
    FROM products
    UNION ALL
    SELECT
        'products' AS table_name,
        products.product_id AS row_id,
        SUBSTR(products.category, 1, 1) AS first_character,
        products.category AS text_value
    FROM products
    UNION ALL
    SELECT
        'products' AS table_name,
        products.product_id AS row_id,
        SUBSTR(products.brand, 1, 1) AS first_character,
        products.brand AS text_value
    FROM products
    UNION ALL
    SELECT
        'users' AS table_name,
        users.user_id AS row_id,
        SUBSTR(users.email, 1, 1) AS first_character,
        users.email AS text_value
    FROM users
    UNION ALL
    SELECT
        'users' AS table_name,
        users.user_id AS row_id,
        SUBSTR(users.full_name, 1, 1) AS first_character,
        users.full_name AS text_value
    FROM users
    UNION ALL
    SELECT
        'users' AS table_name,
        users.user_id AS row_id,
        SUBSTR(users.city, 1, 1) AS first_character,
        users.city AS text_value
    FROM users
    UNION ALL
    SELECT
        'users' AS table_name,
        users.user_id AS row_id,
        SUBSTR(users.acquisition_channel, 1, 1) AS first_character,
        users.acquisition_channel AS text_value
    FROM users
)

SELECT
    first_characters.table_name,
    first_characters.row_id,
    first_characters.text_value
FROM first_characters
WHERE first_characters.first_character IN ('=', '+', '-', '@')
ORDER BY
    first_characters.table_name,
    first_characters.row_id,
    first_characters.text_value;
