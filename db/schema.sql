-- The contract: what the five CSV files hold and which rules each row obeys.
--
-- This file alone states tables, columns, types and rules.  The generator takes its
-- headers and manifest from it, the loader its columns and checks, the tests their names.
--
-- Money is in integer cents.  Instants are UTC, ISO 8601 text 'YYYY-MM-DDTHH:MM:SSZ'.
-- Every CHECK is named, because its name is the message a user reads; the name begins
-- with the column to look at.
-- The modifier '+0 days' makes SQLite normalise a date, so that 2023-02-30 is refused.

CREATE TABLE users (
    user_id INTEGER NOT NULL PRIMARY KEY,
    email TEXT NOT NULL,
    full_name TEXT NOT NULL,
    country_code TEXT NOT NULL,             -- ISO 3166-1 alpha-2
    city TEXT NOT NULL,
    acquisition_channel TEXT NOT NULL,
    signed_up_at TEXT NOT NULL,

    CONSTRAINT user_id_is_positive
    CHECK (user_id > 0),
    CONSTRAINT email_has_one_at_sign
    CHECK (email LIKE '_%@_%' AND email NOT LIKE '%@%@%'),
    CONSTRAINT country_code_is_two_capitals
    CHECK (country_code GLOB '[A-Z][A-Z]'),
    CONSTRAINT signed_up_at_is_a_utc_instant
    CHECK (
        signed_up_at GLOB '????-??-??T??:??:??Z'
        AND signed_up_at IS strftime('%Y-%m-%dT%H:%M:%SZ', signed_up_at, '+0 days')
    )
) STRICT;

CREATE TABLE products (
    product_id INTEGER NOT NULL PRIMARY KEY,
    sku TEXT NOT NULL,
    product_name TEXT NOT NULL,
    category TEXT NOT NULL,
    brand TEXT NOT NULL,
    price_cents INTEGER NOT NULL,           -- list price at launch, of one unit, before tax
    cost_cents INTEGER NOT NULL,            -- what one unit costs the shop
    launched_at TEXT NOT NULL,

    CONSTRAINT product_id_is_positive
    CHECK (product_id > 0),
    CONSTRAINT price_cents_is_not_negative
    CHECK (price_cents >= 0),
    CONSTRAINT cost_cents_is_not_negative
    CHECK (cost_cents >= 0),
    CONSTRAINT launched_at_is_a_utc_instant
    CHECK (
        launched_at GLOB '????-??-??T??:??:??Z'
        AND launched_at IS strftime('%Y-%m-%dT%H:%M:%SZ', launched_at, '+0 days')
    )
) STRICT;

CREATE TABLE orders (
    order_id INTEGER NOT NULL PRIMARY KEY,
    user_id INTEGER NOT NULL REFERENCES users (user_id),
    ordered_at TEXT NOT NULL,
    status TEXT NOT NULL,                   -- as of the last day of the data
    subtotal_cents INTEGER NOT NULL,        -- sum of the order's line totals
    discount_cents INTEGER NOT NULL,        -- on the whole order, e.g. a coupon
    shipping_cents INTEGER NOT NULL,
    tax_cents INTEGER NOT NULL,
    total_cents INTEGER NOT NULL,           -- what the customer is asked to pay

    CONSTRAINT order_id_is_positive
    CHECK (order_id > 0),
    CONSTRAINT ordered_at_is_a_utc_instant
    CHECK (
        ordered_at GLOB '????-??-??T??:??:??Z'
        AND ordered_at IS strftime('%Y-%m-%dT%H:%M:%SZ', ordered_at, '+0 days')
    ),
    CONSTRAINT status_is_known
    CHECK (
        status IN (
            'pending',              -- placed, not paid yet
            'paid',                 -- paid, not shipped yet
            'shipped',
            'delivered',
            'partially_returned',   -- delivered, then refunded in part
            'returned',             -- delivered, then refunded in full
            'cancelled'             -- stopped before shipping; anything paid is refunded
        )
    ),
    CONSTRAINT subtotal_cents_is_not_negative
    CHECK (subtotal_cents >= 0),
    CONSTRAINT discount_cents_is_within_subtotal
    CHECK (discount_cents BETWEEN 0 AND subtotal_cents),
    CONSTRAINT shipping_cents_is_not_negative
    CHECK (shipping_cents >= 0),
    CONSTRAINT tax_cents_is_not_negative
    CHECK (tax_cents >= 0),
    CONSTRAINT total_cents_is_subtotal_minus_discount_plus_shipping_plus_tax
    CHECK (total_cents = subtotal_cents - discount_cents + shipping_cents + tax_cents)
) STRICT;

CREATE TABLE order_items (
    order_item_id INTEGER NOT NULL PRIMARY KEY,
    order_id INTEGER NOT NULL REFERENCES orders (order_id),
    product_id INTEGER NOT NULL REFERENCES products (product_id),
    quantity INTEGER NOT NULL,
    unit_price_cents INTEGER NOT NULL,      -- list price of one unit when it was ordered
    discount_cents INTEGER NOT NULL,        -- on the whole line, e.g. a promotion
    line_total_cents INTEGER NOT NULL,

    CONSTRAINT order_item_id_is_positive
    CHECK (order_item_id > 0),
    -- Bounds within which no product leaves 64 bits, where it would lose its exactness.
    CONSTRAINT quantity_is_from_1_to_a_million
    CHECK (quantity BETWEEN 1 AND 1000000),
    CONSTRAINT unit_price_cents_is_from_0_to_a_trillion
    CHECK (unit_price_cents BETWEEN 0 AND 1000000000000),
    CONSTRAINT discount_cents_is_within_the_line
    CHECK (discount_cents BETWEEN 0 AND quantity * unit_price_cents),
    CONSTRAINT line_total_cents_is_quantity_times_unit_price_minus_discount
    CHECK (line_total_cents = quantity * unit_price_cents - discount_cents)
) STRICT;

CREATE TABLE payments (
    payment_id INTEGER NOT NULL PRIMARY KEY,
    order_id INTEGER NOT NULL REFERENCES orders (order_id),
    kind TEXT NOT NULL,
    method TEXT NOT NULL,
    status TEXT NOT NULL,
    amount_cents INTEGER NOT NULL,          -- never negative; kind tells the direction
    processed_at TEXT NOT NULL,

    CONSTRAINT payment_id_is_positive
    CHECK (payment_id > 0),
    CONSTRAINT kind_is_charge_or_refund
    CHECK (kind IN ('charge', 'refund')),
    CONSTRAINT status_is_succeeded_or_failed
    CHECK (status IN ('succeeded', 'failed')),
    CONSTRAINT amount_cents_is_not_negative
    CHECK (amount_cents >= 0),
    CONSTRAINT processed_at_is_a_utc_instant
    CHECK (
        processed_at GLOB '????-??-??T??:??:??Z'
        AND processed_at IS strftime('%Y-%m-%dT%H:%M:%SZ', processed_at, '+0 days')
    )
) STRICT;

-- Where the data came from: one row per fact, in the transaction that loaded them.
--
--   subject            property
--   <table>.csv        sha256, bytes, rows (read), rows_stored, form (canonical, or what is
--                      not), manifest (matches, differs, unlisted, absent)
--   <table>            content_sha256: of the loaded rows as a canonical CSV file
--   dataset            content_sha256: of the tables' digests; as_of: last day observed
--   schema.sql         sha256
--   datapackage.json   sha256, when there is a manifest
--   generator          seed, users, window_start, window_end, format_version, currency,
--                      when the manifest states them
--   loader             tool_version, python_version, sqlite_version
--   submission_meta    content_sha256: of all the other rows here
CREATE TABLE submission_meta (
    subject TEXT NOT NULL,
    property TEXT NOT NULL,
    value TEXT NOT NULL,

    CONSTRAINT submission_meta_has_one_value_per_property
    PRIMARY KEY (subject, property)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX users_email_idx ON users (email);
CREATE UNIQUE INDEX products_sku_idx ON products (sku);
CREATE INDEX orders_user_id_idx ON orders (user_id);
CREATE INDEX order_items_order_id_idx ON order_items (order_id);
CREATE INDEX order_items_product_id_idx ON order_items (product_id);
CREATE INDEX payments_order_id_idx ON payments (order_id);
