"""Each check of the report: it passes on a sound shop and finds a row that breaks it."""

from __future__ import annotations

import importlib
import importlib.util
import random
import re
import sqlite3
import tempfile
import unittest
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from db.reporting.checks import (
    CHECKS_DIR,
    SAMPLE_ROWS,
    TRENDS_DIR,
    Check,
    Query,
    Row,
    describe_check,
    list_checks,
    read_queries,
)
from db.reporting.report import derive_verdict, read_loaded, run_check
from queries.cohorts import find_large_first_cohort
from tests.shop import create_shop, record_provenance, seal_provenance
from tests.support import IN_CI, ShopCase, sample_shop, skip_or_fail
from utils.contract import PROVENANCE_TABLE, SCHEMA_PATH, read_contract
from utils.months import FIRST_YEAR, LAST_YEAR

FIRST_COHORT_CHECK = "cohort_first_is_too_large"

# What the checks of severity `info` find in the sound shop: the rug, and Zoë.
SOUND_FACTS = {"coverage_products_never_sold": 1, "coverage_users_without_orders": 1}

# Stores NULL in a column that is NOT NULL.
FORGET_NOT_NULL = """
    PRAGMA writable_schema = ON;
    UPDATE sqlite_schema SET sql = replace(sql, 'city TEXT NOT NULL', 'city TEXT');
    PRAGMA schema_version = 1000;
    UPDATE users SET city = NULL WHERE user_id = 4;
    UPDATE sqlite_schema SET sql = replace(sql, 'city TEXT', 'city TEXT NOT NULL');
    PRAGMA schema_version = 1001;
"""

# Changes a row without its entry in an index.
FORGET_AN_INDEX = """
    PRAGMA writable_schema = ON;
    UPDATE sqlite_schema SET sql = sql || ' WHERE order_id < 0'
    WHERE name = 'orders_user_id_idx';
    PRAGMA schema_version = 1000;
    UPDATE orders SET user_id = 3 WHERE order_id = 8;
    UPDATE sqlite_schema SET sql = replace(sql, ' WHERE order_id < 0', '');
    PRAGMA schema_version = 1001;
"""

# Weakens a CHECK and changes no row.
WEAKEN_A_CHECK = """
    PRAGMA writable_schema = ON;
    UPDATE sqlite_schema SET sql = replace(sql, 'order_id > 0', '1');
    PRAGMA schema_version = 1000;
"""

# Adds a failed charge to order 2, before the successful one.
ADD_FAILED_CHARGE = (
    "INSERT INTO payments VALUES"
    " (14, 2, 'charge', 'card', 'failed', 6000, '2024-01-20T20:15:01Z')"
)


# The checks that do not apply to a shop without payments.
NEED_PAYMENTS = (
    "causality_charge_before_refund",
    "causality_order_before_payment",
    "orphan_payment_of_no_order",
    "payments_differ_by_rounding",
    "payments_match_order_status",
    "payments_refund_within_charges",
    "values_payment_kind_and_status",
)


def add_cohorts(*sizes: int) -> str:
    """Return the SQL that adds a cohort of each of *sizes*, from January 2023 on."""
    months = [month for month, size in enumerate(sizes, 1) for _ in range(size)]
    template = """
        INSERT INTO users
        VALUES ({key}, '{key}@example.com', 'A B', 'SE', 'Lund', 'email', '{at}');
        INSERT INTO orders VALUES ({key}, {key}, '{at}', 'paid', 1000, 0, 0, 0, 1000);
        INSERT INTO order_items VALUES ({key}, {key}, 5, 1, 1000, 0, 1000);
        INSERT INTO payments
        VALUES ({key}, {key}, 'charge', 'card', 'succeeded', 1000, '{at}');
    """
    product = """
        INSERT INTO products
        VALUES (5, 'SKU-5', 'Bowl', 'home', 'Lux', 1000, 400, '2022-12-01T00:00:00Z');
    """
    return product + "".join(
        template.format(key=key, at=f"2023-{month:02}-15T00:00:00Z")
        for key, month in enumerate(months, 101)
    )


def add_orders(first_key: int, count: int, time: str) -> str:
    """Return the SQL that adds orders of user 1, with a line each and all different.

    *time* is the SQL of the time of the order with the number `n`, which starts at 0.
    """
    numbers = f"WITH RECURSIVE numbers (n) AS ({count_up_to(count)})"
    key, cents = f"{first_key} + n", f"1000 + {first_key} + n"
    return f"""
        INSERT INTO orders {numbers}
        SELECT {key}, 1, {time}, 'pending', {cents}, 0, 0, 0, {cents} FROM numbers;
        INSERT INTO order_items {numbers}
        SELECT {key}, {key}, 2, 1, {cents}, 0, {cents} FROM numbers;
    """


def count_up_to(count: int) -> str:
    """Return the SELECT of a recursive table `numbers` with 0 to *count* - 1."""
    return f"SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count - 1}"


def add_days(days: Mapping[str, int]) -> str:
    """Return the SQL that adds orders on *days* of 2024, as many as each has."""
    time = "'2024-{}T10:' || PRINTF('%02d:%02dZ', n / 60, n % 60)"
    return "".join(
        add_orders(1000 * number, count, time.format(day))
        for number, (day, count) in enumerate(days.items(), 1)
    )


def add_hours(month: int, first_hour: int, days: int) -> str:
    """Return the SQL that adds two orders at each of six hours on *days* of a *month*."""
    time = f"PRINTF('2024-{month:02}-%02dT%02d:00:01Z', 2 + n / 12, {first_hour} + n % 6)"
    return add_orders(1000 * month, 12 * days, time)


def add_users(month: int, channel: str, count: int) -> str:
    """Return the SQL that adds *count* users of *channel* in a *month* of 2024."""
    return f"""
        INSERT INTO users WITH RECURSIVE numbers (n) AS ({count_up_to(count)})
        SELECT NULL, '{channel}{month}-' || n || '@example.com', 'A B', 'SE', 'Lund',
            '{channel}', '2024-{month:02}-15T00:00:00Z' FROM numbers;
    """


class Break(NamedTuple):
    """One row broken by *sql*: the check finds *keys*, and the checks *also* fail.

    A key of several columns is a tuple.  Unless *is_edit*, provenance is recorded again, as
    if the broken row had been loaded.
    """

    sql: str
    keys: tuple[Any, ...] = ()
    also: tuple[str, ...] = ()
    is_edit: bool = False


BREAKS: dict[str, list[Break]] = {
    "causality_charge_before_refund": [
        Break(
            "UPDATE payments SET processed_at = '2024-01-20T20:15:05Z'"
            " WHERE payment_id = 3",
            (3,),
        ),
        # A failed charge before the refund is not a charge.
        Break(
            "UPDATE payments SET processed_at = '2024-01-20T20:15:05Z'"
            f" WHERE payment_id = 3; {ADD_FAILED_CHARGE}",
            (3,),
        ),
    ],
    "causality_far_after_other_events": [
        Break(
            f"UPDATE {table} SET {column} = '2052-03-13T00:00:00Z' WHERE {key} = {value}",
            ((table, value),),
            also=("causality_nothing_after_as_of",),
        )
        for table, column, key, value in (
            ("orders", "ordered_at", "order_id", 8),
            ("payments", "processed_at", "payment_id", 13),
            ("users", "signed_up_at", "user_id", 4),
        )
    ],
    "causality_launch_before_order": [
        Break(
            "UPDATE products SET launched_at = '2024-01-20T20:15:01Z' WHERE product_id = 3",
            (3,),
        ),
    ],
    "causality_nothing_after_as_of": [
        Break(
            "UPDATE users SET signed_up_at = '2024-03-16T00:00:00Z' WHERE user_id = 4",
            (("users", 4),),
        ),
        Break(
            "UPDATE orders SET ordered_at = '2024-03-16T00:00:00Z' WHERE order_id = 8",
            (("orders", 8),),
        ),
        Break(
            "UPDATE payments SET processed_at = '2024-03-16T00:00:00Z'"
            " WHERE payment_id = 13",
            (("payments", 13),),
        ),
    ],
    "causality_order_before_payment": [
        Break(
            "UPDATE payments SET processed_at = '2024-03-10T11:59:59Z'"
            " WHERE payment_id = 12",
            (12,),
        ),
    ],
    "causality_sign_up_before_order": [
        Break(
            "UPDATE users SET signed_up_at = '2024-03-01T00:00:00Z' WHERE user_id = 3",
            (5,),
        ),
    ],
    "cohort_first_is_too_large": [
        # Followed by the sound shop's cohorts of two and one.
        Break(add_cohorts(20, 1, 1, 1, 1), ("2023-01",)),
        # The median of 1, 2, 10, 10, 12 and 40 is 10, and 21 is more than twice as much.
        Break(add_cohorts(21, 40, 10, 12, 10), ("2023-01",)),
    ],
    "causality_stated_day_far_after_events": [
        Break(
            "DELETE FROM submission_meta WHERE property = 'seed';"
            "INSERT INTO submission_meta VALUES ('generator', 'window_end', '2033-04-01')",
            ("2033-04-01",),
            is_edit=True,
        ),
        Break(
            add_cohorts(20)
            + ";INSERT OR REPLACE INTO submission_meta VALUES ('generator', 'seed', '42');"
            "INSERT INTO submission_meta VALUES ('generator', 'window_end', '2052-12-31')",
            ("2052-12-31",),
            is_edit=True,
            also=("files_content_as_loaded", "files_rows_in_table"),
        ),
    ],
    "coverage_missing_orders": [
        Break(
            add_days({"02-05": 100, "02-07": 100}),
            (1100,),
            also=("price_differs_from_list",),
        ),
    ],
    "coverage_orders_without_goods": [
        Break("DELETE FROM order_items WHERE order_item_id = 10", (8,)),
        Break(
            "INSERT INTO orders VALUES"
            " (9, 1, '2024-03-14T00:00:00Z', 'paid', 0, 0, 500, 100, 600);"
            "INSERT INTO payments VALUES"
            " (14, 9, 'charge', 'card', 'succeeded', 600, '2024-03-14T00:00:00Z')",
            (9,),
        ),
    ],
    "coverage_orders_without_items": [
        Break("DELETE FROM order_items WHERE order_id = 7", (7,)),
        Break("DELETE FROM order_items WHERE order_id = 6", (6,)),
    ],
    "coverage_products_never_sold": [
        Break(
            "INSERT INTO products SELECT 5, 'SKU-5', product_name, category, brand,"
            " price_cents, cost_cents, launched_at FROM products WHERE product_id = 4",
            (4, 5),
        ),
    ],
    "coverage_users_without_orders": [
        Break(
            "INSERT INTO users SELECT 5, 'ulf@example.com', full_name, country_code, city,"
            " acquisition_channel, signed_up_at FROM users WHERE user_id = 4",
            (4, 5),
            also=("duplicate_user_content",),
        ),
    ],
    "database_is_intact": [
        Break(FORGET_NOT_NULL, ("NULL value in users.city",)),
        Break(FORGET_AN_INDEX, ("row 8 missing from index orders_user_id_idx",)),
    ],
    "database_matches_schema": [
        Break("DROP INDEX payments_order_id_idx", ("index payments_order_id_idx",)),
        Break(WEAKEN_A_CHECK, ("table orders",)),
        Break("CREATE TABLE notes (note TEXT)", ("table notes",)),
        Break("CREATE VIEW people AS SELECT * FROM users", ("view people",)),
        Break(
            "CREATE TRIGGER evil AFTER INSERT ON users BEGIN DELETE FROM users; END",
            ("trigger evil",),
        ),
    ],
    "duplicate_email": [
        Break(
            "DROP INDEX users_email_idx;"
            "UPDATE users SET email = 'ann@example.com' WHERE user_id = 4",
            ("ann@example.com",),
            also=("database_matches_schema",),
        ),
    ],
    "duplicate_email_in_other_case": [
        Break(
            "UPDATE users SET email = 'Ann@Example.com' WHERE user_id = 4",
            ("ann@example.com",),
        ),
    ],
    "duplicate_email_with_tag": [
        Break(
            "UPDATE users SET email = 'Ann+new@example.com' WHERE user_id = 4",
            (4,),
        ),
        Break(
            "UPDATE users SET email = 'ann+' || user_id || '@example.com'"
            " WHERE user_id > 2",
            (3, 4),
        ),
    ],
    "duplicate_key": [
        Break(
            "DROP INDEX products_sku_idx; CREATE TABLE copies AS SELECT * FROM products;"
            "DROP TABLE products; ALTER TABLE copies RENAME TO products;"
            "INSERT INTO products SELECT 4, 'SKU-5', product_name, category, brand,"
            " price_cents, cost_cents, launched_at FROM products WHERE product_id = 4",
            (("products", 4),),
            also=("coverage_products_never_sold", "database_matches_schema"),
        ),
    ],
    "duplicate_order_content": [
        Break(
            "INSERT INTO orders SELECT 9, user_id, ordered_at, status, subtotal_cents,"
            " discount_cents, shipping_cents, tax_cents, total_cents FROM orders"
            " WHERE order_id = 6; INSERT INTO order_items"
            " SELECT 11, 9, product_id, quantity, unit_price_cents, discount_cents,"
            " line_total_cents FROM order_items WHERE order_item_id = 7",
            (9,),
        ),
    ],
    "duplicate_payment_content": [
        Break(
            "INSERT INTO payments SELECT 14, order_id, kind, method, status, amount_cents,"
            " processed_at FROM payments WHERE payment_id = 12",
            (14,),
        ),
    ],
    "duplicate_product_in_order": [
        Break(
            "UPDATE order_items SET product_id = 2, quantity = 2, unit_price_cents = 1000"
            " WHERE order_item_id = 1",
            ((1, 2),),
        ),
    ],
    "duplicate_sku": [
        Break(
            "DROP INDEX products_sku_idx;"
            "UPDATE products SET sku = 'SKU-1' WHERE product_id = 4",
            ("SKU-1",),
            also=("database_matches_schema",),
        ),
    ],
    "duplicate_user_content": [
        Break(
            "INSERT INTO users SELECT 5, 'other@example.com', full_name, country_code,"
            " city, acquisition_channel, signed_up_at FROM users WHERE user_id = 1",
            (5,),
            also=("coverage_users_without_orders",),
        ),
    ],
    "files_content_as_loaded": [
        Break("UPDATE users SET city = 'Lund' WHERE user_id = 1", ("users",), is_edit=True),
    ],
    "files_differ_from_manifest": [
        Break(
            "UPDATE submission_meta SET value = 'differs'"
            " WHERE subject = 'orders.csv' AND property = 'manifest'",
            ("orders.csv",),
            is_edit=True,
        ),
    ],
    "files_rows_in_table": [
        Break(
            "UPDATE submission_meta SET value = '5'"
            " WHERE subject = 'users.csv' AND property = 'rows'",
            ("users",),
            is_edit=True,
        ),
        Break(
            "DELETE FROM submission_meta"
            " WHERE subject = 'orders.csv' AND property = 'rows'",
            ("orders",),
            is_edit=True,
        ),
        Break(
            "DELETE FROM users WHERE user_id = 4",
            ("users",),
            also=("coverage_users_without_orders", "files_content_as_loaded"),
            is_edit=True,
        ),
    ],
    "files_without_manifest": [
        Break(
            f"UPDATE submission_meta SET value = '{word}'"
            " WHERE subject = 'users.csv' AND property = 'manifest'",
            ("users.csv",),
            is_edit=True,
        )
        for word in ("absent", "unlisted", "not compared: no SHA-256")
    ],
    "key_is_positive": [
        Break(
            "UPDATE products SET product_id = 0 WHERE product_id = 4", (("products", 0),)
        ),
        Break("UPDATE users SET user_id = 0 WHERE user_id = 4", (("users", 0),)),
    ],
    "money_discount_within_line": [
        Break(
            "UPDATE order_items SET discount_cents = 1001 WHERE order_item_id = 10",
            (10,),
            also=("money_line_total",),
        ),
    ],
    "money_discount_within_order": [
        Break(
            "UPDATE orders SET discount_cents = 1001, total_cents = 199 WHERE order_id = 8",
            (8,),
        ),
    ],
    "money_items_make_subtotal": [
        Break(
            "UPDATE orders SET subtotal_cents = 1001, total_cents = 1201"
            " WHERE order_id = 8",
            (8,),
        ),
    ],
    "money_line_total": [
        Break(
            "UPDATE order_items SET quantity = 2 WHERE order_item_id = 10",
            (10,),
        ),
    ],
    "money_never_negative": [
        Break(
            "UPDATE orders SET tax_cents = -1, total_cents = 999 WHERE order_id = 8",
            (("orders", 8),),
        ),
    ],
    "money_order_total": [
        Break(
            "UPDATE orders SET total_cents = 1201 WHERE order_id = 8",
            (8,),
        ),
    ],
    "orphan_item_of_no_order": [
        Break("INSERT INTO order_items VALUES (11, 99, 2, 1, 1000, 0, 1000)", (11,)),
    ],
    "orphan_item_of_no_product": [
        Break("UPDATE order_items SET product_id = 99 WHERE order_item_id = 10", (10,)),
    ],
    "orphan_order_of_no_user": [
        Break("UPDATE orders SET user_id = 99 WHERE order_id = 8", (8,)),
    ],
    "orphan_payment_of_no_order": [
        Break(
            "INSERT INTO payments SELECT 14, 99, kind, method, status, amount_cents,"
            " processed_at FROM payments WHERE payment_id = 12",
            (14,),
        ),
    ],
    "payments_differ_by_rounding": [
        Break("UPDATE payments SET amount_cents = 1595 WHERE payment_id = 10", (5,)),
        Break("UPDATE payments SET amount_cents = 5994 WHERE payment_id = 2", (2,)),
        Break("UPDATE payments SET amount_cents = 2405 WHERE payment_id = 6", (4,)),
    ],
    "payments_match_order_status": [
        Break("DELETE FROM payments WHERE payment_id = 6", (4,)),
        Break("UPDATE payments SET status = 'failed' WHERE payment_id = 6", (4,)),
        Break("UPDATE payments SET amount_cents = 2000 WHERE payment_id IN (5, 6)", (4,)),
        Break("UPDATE payments SET amount_cents = 1594 WHERE payment_id = 10", (5,)),
        Break("UPDATE orders SET status = 'delivered' WHERE order_id = 6", (6,)),
        Break("UPDATE orders SET status = 'shipped' WHERE order_id = 3", (3,)),
        Break("DELETE FROM payments WHERE payment_id = 3", (2,)),
        Break("UPDATE payments SET amount_cents = 6000 WHERE payment_id = 3", (2,)),
        Break("UPDATE payments SET amount_cents = 5993 WHERE payment_id = 2", (2,)),
        Break("UPDATE payments SET status = 'succeeded' WHERE payment_id = 12", (6,)),
        Break("DELETE FROM payments WHERE payment_id = 11", (3,)),
    ],
    "payments_not_supplied": [
        Break("DELETE FROM payments", ("payments.csv",), also=NEED_PAYMENTS),
    ],
    "payments_refund_within_charges": [
        Break(
            "UPDATE payments SET amount_cents = 6007 WHERE payment_id = 3",
            (2,),
            also=("payments_match_order_status",),
        ),
        # The failed charge of 6000 is not added to the charge of 6000.
        Break(
            "UPDATE payments SET amount_cents = 6007"
            f" WHERE payment_id = 3; {ADD_FAILED_CHARGE}",
            (2,),
            also=("payments_match_order_status",),
        ),
        Break(
            "UPDATE payments SET kind = 'refund', status = 'succeeded'"
            " WHERE payment_id = 12",
            (6,),
            also=("payments_match_order_status",),
        ),
    ],
    "price_below_cost": [
        Break("UPDATE products SET cost_cents = 901 WHERE product_id = 2", (2,)),
    ],
    "price_differs_from_list": [
        Break(
            "UPDATE order_items SET quantity = 2, unit_price_cents = 500"
            " WHERE order_item_id = 10",
            (10,),
        ),
    ],
    "price_hundred_times_list": [
        Break(
            f"UPDATE products SET price_cents = {price} WHERE product_id = 3",
            (3, 7, 9),
            also=("price_differs_from_list",),
        )
        for price in (50, 500_000)
    ],
    "price_without_cost": [
        Break("UPDATE products SET cost_cents = 0 WHERE product_id = 4", (4,)),
        Break("UPDATE products SET cost_cents = 0 WHERE product_id > 2", (3, 4)),
    ],
    "format_country_code": [
        Break(f"UPDATE users SET country_code = '{code}' WHERE user_id = 4", (4,))
        for code in ("se", "S", "SWE", "S1", "", "ÅL")
    ],
    "format_email": [
        Break(f"UPDATE users SET email = '{email}' WHERE user_id = 4", (4,))
        for email in ("zoe", "zoe@", "zoe@home@example.com", "")
    ]
    + [
        Break(
            "UPDATE users SET email = '@example.com' WHERE user_id = 4",
            (4,),
            also=("text_looks_like_formula",),
        ),
    ],
    "format_timestamp": [
        Break(
            "UPDATE products SET launched_at = '2023-02-30T00:00:00Z' WHERE product_id = 4",
            (("products", 4),),
        ),
        Break(
            "UPDATE payments SET processed_at = '2024-03-12 20:00:10Z'"
            " WHERE payment_id = 13",
            (("payments", 13),),
            also=("causality_order_before_payment",),
        ),
    ],
    "text_invisible_characters": [
        Break(
            "UPDATE users SET acquisition_channel = 'organic ' WHERE user_id = 3",
            (("users", 3, "acquisition_channel"),),
            also=("text_spellings",),
        ),
        Break(
            "UPDATE products SET category = 'home' || char(8203) WHERE product_id = 4",
            (("products", 4, "category"),),
        ),
        Break(
            "UPDATE payments SET method = 'card' || char(160) WHERE payment_id = 12",
            (("payments", 12, "method"),),
        ),
        Break(
            "UPDATE users SET city = 'MalmÃ¶' WHERE user_id = 1",
            (("users", 1, "city"),),
        ),
    ],
    "text_looks_like_formula": [
        Break(
            "UPDATE users SET full_name = '=1+1' WHERE user_id = 4",
            (("users", 4),),
        ),
        Break(
            "UPDATE products SET brand = '@SUM(A1)' WHERE product_id = 4",
            (("products", 4),),
        ),
    ],
    "text_misspelled_domain": [
        Break(
            add_users(1, "social", 98)
            + "UPDATE users SET email = 'ann@exmaple.com' WHERE user_id = 1;"
            "UPDATE users SET email = 'eve@example.ocm' WHERE user_id = 3;",
            (1, 3),
            also=("coverage_users_without_orders",),
        ),
    ],
    "text_placeholder": [
        Break(
            "UPDATE users SET full_name = 'N/A', city = 'none', email = 'test@example.com'"
            " WHERE user_id = 4",
            (("users", 4, "city"), ("users", 4, "email"), ("users", 4, "full_name")),
        ),
        Break(
            "UPDATE users SET signed_up_at = '1970-01-01T00:00:00Z' WHERE user_id = 4",
            (("users", 4, "signed_up_at"),),
        ),
        Break(
            "UPDATE products SET category = 'Unknown', product_name = 'test',"
            " launched_at = '1970-01-01T00:00:00Z' WHERE product_id = 4",
            (
                ("products", 4, "category"),
                ("products", 4, "launched_at"),
                ("products", 4, "product_name"),
            ),
        ),
    ],
    "text_spellings": [
        Break(
            "UPDATE products SET category = 'Home' WHERE product_id = 4;"
            "UPDATE users SET acquisition_channel = 'Paid-Search' WHERE user_id = 3",
            (
                ("products", "category", "Home"),
                ("products", "category", "home"),
                ("users", "acquisition_channel", "Paid-Search"),
                ("users", "acquisition_channel", "paid_search"),
            ),
        ),
    ],
    "values_order_status": [
        Break(
            "UPDATE orders SET status = 'lost' WHERE order_id = 8",
            (8,),
        ),
    ],
    "values_payment_kind_and_status": [
        Break(
            "UPDATE payments SET kind = 'gift' WHERE payment_id = 12",
            (12,),
        ),
        Break(
            "UPDATE payments SET status = 'late' WHERE payment_id = 12",
            (12,),
        ),
    ],
    "volume_break": [
        Break(
            add_users(1, "social", 60) + add_users(2, "email", 60),
            (("users", "social", "2024-02"),),
            also=("coverage_users_without_orders",),
        ),
    ],
    "volume_shifted_hours": [
        Break(
            add_hours(1, 14, 25) + add_hours(2, 8, 5) + add_hours(3, 14, 12),
            (("SE", "2024-02"),),
            also=("coverage_missing_orders", "price_differs_from_list"),
        ),
    ],
    "volume_unusual_day": [
        Break(
            add_days({"01-24": 60, "02-07": 60}),
            ("2024-01-31",),
            also=("price_differs_from_list",),
        ),
        Break(
            add_days({"02-22": 60, "02-28": 60, "02-29": 120, "03-01": 60, "03-07": 60}),
            ("2024-02-29",),
            also=("price_differs_from_list",),
        ),
    ],
}


# Each CHECK of the schema: a change that it refuses, and the check that finds it.
BROKEN_CONSTRAINTS = {
    "user_id_is_positive": ("users", "user_id = 0", "key_is_positive"),
    "email_has_one_at_sign": ("users", "email = 'ann'", "format_email"),
    "country_code_is_two_capitals": ("users", "country_code = 'se'", "format_country_code"),
    "signed_up_at_is_a_utc_instant": ("users", "signed_up_at = '2024'", "format_timestamp"),
    "product_id_is_positive": ("products", "product_id = -1", "key_is_positive"),
    "price_cents_is_not_negative": ("products", "price_cents = -1", "money_never_negative"),
    "cost_cents_is_not_negative": ("products", "cost_cents = -1", "money_never_negative"),
    "launched_at_is_a_utc_instant": ("products", "launched_at = ''", "format_timestamp"),
    "order_id_is_positive": ("orders", "order_id = 0", "key_is_positive"),
    "ordered_at_is_a_utc_instant": ("orders", "ordered_at = 'now'", "format_timestamp"),
    "status_is_known": ("orders", "status = 'Paid'", "values_order_status"),
    "subtotal_cents_is_not_negative": (
        "orders",
        "subtotal_cents = -1, discount_cents = 0, total_cents = 1199",
        "money_never_negative",
    ),
    "discount_cents_is_within_subtotal": (
        "orders",
        "discount_cents = 3801, total_cents = 1199",
        "money_discount_within_order",
    ),
    "shipping_cents_is_not_negative": (
        "orders",
        "shipping_cents = -1, total_cents = 4199",
        "money_never_negative",
    ),
    "tax_cents_is_not_negative": (
        "orders",
        "tax_cents = -1, total_cents = 3999",
        "money_never_negative",
    ),
    "total_cents_is_subtotal_minus_discount_plus_shipping_plus_tax": (
        "orders",
        "total_cents = 4699",
        "money_order_total",
    ),
    "order_item_id_is_positive": ("order_items", "order_item_id = 0", "key_is_positive"),
    "quantity_is_from_1_to_a_million": (
        "order_items",
        "quantity = 0, line_total_cents = 0",
        "money_never_negative",
    ),
    "unit_price_cents_is_from_0_to_a_trillion": (
        "order_items",
        "unit_price_cents = -1",
        "money_never_negative",
    ),
    "discount_cents_is_within_the_line": (
        "order_items",
        "discount_cents = 2001, line_total_cents = -1",
        "money_discount_within_line",
    ),
    "line_total_cents_is_quantity_times_unit_price_minus_discount": (
        "order_items",
        "line_total_cents = 1999",
        "money_line_total",
    ),
    "payment_id_is_positive": ("payments", "payment_id = 0", "key_is_positive"),
    "kind_is_charge_or_refund": (
        "payments",
        "kind = 'tip'",
        "values_payment_kind_and_status",
    ),
    "status_is_succeeded_or_failed": (
        "payments",
        "status = 'open'",
        "values_payment_kind_and_status",
    ),
    "amount_cents_is_not_negative": (
        "payments",
        "amount_cents = -1",
        "money_never_negative",
    ),
    "processed_at_is_a_utc_instant": (
        "payments",
        "processed_at = '2024-01-10T09:00:30'",
        "format_timestamp",
    ),
}

# By how much the charges and the refunds of an order differ from what its status means for
# an order of that many cents; None where they do not match it.
PAYMENT_RULES: dict[str, Callable[[int, int, int], tuple[int, int] | None]] = {
    "pending": lambda _, charged, refunded: (charged, refunded),
    **dict.fromkeys(
        ("paid", "shipped", "delivered"),
        lambda total, charged, refunded: (charged - total, refunded),
    ),
    "partially_returned": lambda total, charged, refunded: (
        (charged - total, 0) if 0 < refunded < total else None
    ),
    "returned": lambda total, charged, refunded: (charged - total, refunded - total),
    "cancelled": lambda total, charged, refunded: (
        min(charged, charged - total, key=abs),
        refunded - charged,
    ),
}


def judge_payments(status: str, total: int, charged: int, refunded: int) -> str:
    """Return the check that finds an order with these payments, or ''."""
    differences = PAYMENT_RULES[status](total, charged, refunded)
    if differences is None or max(map(abs, differences)) > max(5, total // 1000):
        return "payments_match_order_status"
    return "payments_differ_by_rounding" if any(differences) else ""


TIMESTAMPS = [
    "2024-02-29T23:59:59Z",
    "2023-02-29T00:00:00Z",
    "1900-02-29T00:00:00Z",
    "2000-02-29T00:00:00Z",
    "2024-04-31T12:00:00Z",
    "2024-12-31T24:00:00Z",
    "2024-06-30T23:59:60Z",
    "2024-06-30T23:60:00Z",
    "2024-01-01T00:00:00Z",
    "0999-10-10T10:10:10Z",
]


class CheckCase(unittest.TestCase):
    """A test with a sound shop in memory, which is copied for every fault."""

    image: sqlite3.Connection
    found: dict[Break, dict[str, Row]]

    @classmethod
    def setUpClass(cls) -> None:
        """Create the sound shop once."""
        cls.image = sqlite3.connect(":memory:")
        cls.addClassCleanup(cls.image.close)
        cls.found = {}
        with tempfile.TemporaryDirectory() as folder:
            path = create_shop(Path(folder, "shop.db"))
            with closing(sqlite3.connect(path)) as connection:
                connection.backup(cls.image)

    def check(self, fault: Break | None = None) -> dict[str, Row]:
        """Return what the checks find in the sound shop after *fault*, by check."""
        if fault is None:
            return check_shop(self.image)
        if fault not in self.found:
            with self.open_broken(fault) as connection:
                self.found[fault] = check_shop(connection)
        return self.found[fault]

    def check_one(self, fault: Break, name: str) -> Row:
        """Return what the check *name* finds in the sound shop after *fault*."""
        with self.open_broken(fault) as connection:
            return check_shop(connection, name)[name]

    @contextmanager
    def open_broken(self, fault: Break) -> Iterator[sqlite3.Connection]:
        """Open a copy of the sound shop after *fault*."""
        with closing(sqlite3.connect(":memory:")) as connection:
            self.image.backup(connection)
            connection.execute("PRAGMA ignore_check_constraints = ON")
            connection.executescript(fault.sql)
            if not fault.is_edit:
                record_provenance(connection)
            elif "submission_meta" in fault.sql:
                # As a load of such files would have recorded it.
                seal_provenance(connection)
            connection.commit()
            connection.execute("PRAGMA ignore_check_constraints = OFF")
            yield connection


def list_sums(total: int, rounding: int) -> list[int]:
    """Return sums of payments around 0 and *total*, within and beyond *rounding*."""
    around = (-rounding - 1, -rounding, -1, 0, 1, rounding, rounding + 1)
    return [near + step for near in (0, total) for step in around if near + step >= 0]


def check_shop(connection: sqlite3.Connection, *names: str) -> dict[str, Row]:
    """Return what the checks find in the database of *connection*, by check.

    With *names* only these checks run.
    """
    loaded = read_loaded(connection)
    return {
        check.name: describe_check(check, run_check(check, loaded))
        for check in read_checks()
        if not names or check.name in names
    }


@cache
def read_checks() -> list[Check]:
    """Return all checks, whose files are read once."""
    return list_checks()


def list_keys(check: Row) -> list[Any]:
    """Return the keys in the sample of *check*; of several columns, as tuples."""
    at = [check["columns"].index(name) for name in check["key"]]
    keys = [tuple(row[index] for index in at) for row in check["sample"]]
    return keys if len(at) > 1 else [key for (key,) in keys]


class SoundShop(CheckCase):
    """The checks find nothing where nothing is wrong."""

    def test_every_check_finds_nothing_in_a_sound_shop(self) -> None:
        found = {name: check["count"] for name, check in self.check().items()}
        self.assertEqual(found, dict.fromkeys(sorted(BREAKS), 0) | SOUND_FACTS)

    def test_users_without_orders_and_unsold_products_do_not_fail_the_verdict(self) -> None:
        self.assertEqual(
            derive_verdict(list(self.check().values())),
            {
                "status": "pass",
                "errors": 0,
                "warnings": 0,
                "checks": len(BREAKS),
                "text": f"Sound. {len(BREAKS)} checks, 0 errors, 0 warnings.",
            },
        )

    def test_refund_in_the_second_of_its_charge_breaks_no_rule(self) -> None:
        self.assert_nothing_found(
            "UPDATE payments SET processed_at = '2024-01-20T20:15:10Z' WHERE payment_id = 3"
        )

    def test_failed_payments_beside_successful_ones_break_no_rule(self) -> None:
        self.assert_nothing_found(
            f"{ADD_FAILED_CHARGE}; INSERT INTO payments VALUES"
            " (15, 2, 'refund', 'card', 'failed', 9000, '2024-01-20T20:15:02Z')"
        )

    def test_first_cohort_of_twice_the_median_breaks_no_rule(self) -> None:
        self.assert_nothing_found(add_cohorts(20, 40, 10, 12, 10))

    def test_large_first_cohort_before_five_others_breaks_no_rule(self) -> None:
        self.assert_nothing_found(add_cohorts(30, 1, 1, 1))

    def test_first_cohort_that_chance_may_double_breaks_no_rule(self) -> None:
        self.assert_nothing_found(add_cohorts(19, 1, 1, 1, 1))

    def test_same_order_twice_on_a_day_without_times_breaks_no_rule(self) -> None:
        self.assert_nothing_found(
            "INSERT INTO orders SELECT 9, user_id, ordered_at, status, subtotal_cents,"
            " discount_cents, shipping_cents, tax_cents, total_cents FROM orders"
            " WHERE order_id = 8; INSERT INTO order_items"
            " SELECT 11, 9, product_id, quantity, unit_price_cents, discount_cents,"
            " line_total_cents FROM order_items WHERE order_item_id = 10"
        )

    def test_tag_of_an_address_that_nobody_else_has_breaks_no_rule(self) -> None:
        self.assert_nothing_found(
            "UPDATE users SET email = 'zoe+shop@example.com' WHERE user_id = 4"
        )

    def test_name_that_contains_a_placeholder_breaks_no_rule(self) -> None:
        self.assert_nothing_found("UPDATE users SET city = 'Test Null' WHERE user_id = 4")

    def test_column_that_the_source_does_not_have_breaks_no_rule(self) -> None:
        self.assert_nothing_found("UPDATE users SET city = 'Unknown' WHERE user_id > 1")

    def test_products_of_a_source_without_costs_break_no_rule(self) -> None:
        self.assert_nothing_found("UPDATE products SET cost_cents = 0 WHERE product_id > 1")
        self.assert_nothing_found(
            "UPDATE products SET cost_cents = 0, price_cents = 0 WHERE product_id = 4"
        )

    def test_usual_closed_and_festive_days_break_no_rule(self) -> None:
        for days in (
            {"01-24": 59, "02-07": 60},  # an outage may leave none of so few
            {"02-22": 60, "02-28": 60, "02-29": 119, "03-01": 60, "03-07": 60},
            {"02-22": 61, "02-28": 1, "02-29": 121, "03-01": 1, "03-07": 1},
        ):
            with self.subTest(days):
                fault = Break(add_days(days))
                self.assertEqual(self.check_one(fault, "volume_unusual_day")["count"], 0)

    def test_gaps_of_a_day_or_between_few_consecutive_numbers_break_no_rule(self) -> None:
        time = "'2024-02-05T10:' || PRINTF('%02d:%02dZ', n / 60, n % 60)"
        for sql in (
            add_days({"02-05": 99, "02-07": 100}),
            add_days({"02-05": 100, "02-07": 99}),
            add_orders(1000, 100, time) + add_orders(2000, 100, time),
        ):
            with self.subTest(sql):
                found = self.check_one(Break(sql), "coverage_missing_orders")["count"]
                self.assertEqual(found, 0)

    def test_rare_or_other_domains_beside_a_common_one_break_no_rule(self) -> None:
        rename = "UPDATE users SET email = user_id || '@{}' WHERE user_id IN ({});"
        for count, domain, users, found in (
            (97, "exmaple.com", "1", 1),
            (96, "exmaple.com", "1", 0),  # the common one has 99 of at least 100
            (149, "exmaple.com", "1, 2, 3", 3),
            (148, "exmaple.com", "1, 2, 3", 0),  # and here 149 of at least 3 x 50
            (200, "examples.com", "1", 0),
            (200, "exbmple.com", "1", 0),
        ):
            with self.subTest(count=count, domain=domain):
                sql = add_users(1, "social", count) + rename.format(domain, users)
                check = self.check_one(Break(sql), "text_misspelled_domain")
                self.assertEqual(check["count"], found)

    def test_hours_that_change_by_an_hour_break_no_rule(self) -> None:
        fault = Break(add_hours(1, 14, 12) + add_hours(2, 13, 12))
        self.assertEqual(self.check_one(fault, "volume_shifted_hours")["count"], 0)

    def test_quarter_of_the_share_of_a_channel_breaks_no_rule(self) -> None:
        sql = add_users(1, "social", 60) + add_users(2, "email", 46)
        for count, found in ((15, 0), (14, 1)):
            with self.subTest(count):
                fault = Break(sql + add_users(2, "social", count))
                self.assertEqual(self.check_one(fault, "volume_break")["count"], found)

    def assert_nothing_found(self, sql: str) -> None:
        """Fail unless the shop after *sql* is still sound."""
        found = {name: check["count"] for name, check in self.check(Break(sql)).items()}
        self.assertEqual(found, dict.fromkeys(sorted(BREAKS), 0) | SOUND_FACTS)


class BrokenShop(CheckCase):
    """A broken row is found by its key, and by no unrelated check."""

    def test_every_check_finds_the_row_that_breaks_it(self) -> None:
        for name, faults in BREAKS.items():
            for fault in faults:
                with self.subTest(name, sql=fault.sql):
                    check = self.check_one(fault, name)
                    self.assertEqual(list_keys(check), list(fault.keys))
                    self.assertEqual(check["count"], len(fault.keys))

    def test_broken_row_is_found_by_no_unrelated_check(self) -> None:
        for name, faults in BREAKS.items():
            for fault in faults if IN_CI else faults[:1]:
                with self.subTest(name, sql=fault.sql):
                    found = {
                        other
                        for other, check in self.check(fault).items()
                        if check["count"] != SOUND_FACTS.get(other, 0)
                    }
                    self.assertEqual(found, {name, *fault.also})

    def test_query_and_check_find_the_same_large_first_cohort(self) -> None:
        for sizes in (
            (20, 1, 1, 1, 1),
            (19, 1, 1, 1, 1),
            (20, 10, 10, 12, 10),
            (21, 40, 10, 12, 10),
            (30, 1, 1, 1),
        ):
            with self.subTest(sizes):
                check = self.check_one(Break(add_cohorts(*sizes)), FIRST_COHORT_CHECK)
                # Followed by the sound shop's cohorts of two and one.
                cohorts = {f"{n:02}": size for n, size in enumerate((*sizes, 2, 1), 1)}
                found = find_large_first_cohort(cohorts)
                self.assertEqual(check["count"], found is not None)

    def test_every_check_has_a_row_that_breaks_it(self) -> None:
        self.assertEqual(list(self.check()), sorted(BREAKS))

    def test_key_columns_come_first(self) -> None:
        for name, check in self.check().items():
            with self.subTest(name):
                self.assertEqual(check["columns"][: len(check["key"])], check["key"])

    def test_severity_sets_the_status_to_fail_warn_or_info(self) -> None:
        statuses = {"error": "fail", "warning": "warn", "info": "info"}
        for name, faults in BREAKS.items():
            with self.subTest(name):
                check = self.check(faults[0])[name]
                self.assertEqual(check["status"], statuses[check["severity"]])

    def test_negative_number_is_found_in_every_column_of_amounts(self) -> None:
        # The two totals follow from the rest, and a line's total has its own check.
        totals = {"line_total_cents", "total_cents"}
        for table in read_contract().tables:
            for column in sorted(set(table.column_names) - totals):
                if not column.endswith(("_cents", "quantity")):
                    continue
                with self.subTest(column, table=table.name):
                    sql = f"UPDATE {table.name} SET {column} = -1 WHERE {table.key[0]} = 1"
                    check = self.check_one(Break(sql), "money_never_negative")
                    self.assertEqual(check["sample"], [[table.name, 1, column]])

    def test_duplicate_key_is_found_in_every_table(self) -> None:
        for table in read_contract().tables:
            with self.subTest(table.name):
                name, key = table.name, table.key[0]
                sql = (
                    f"CREATE TABLE copies AS SELECT * FROM {name}; DROP TABLE {name};"
                    f"ALTER TABLE copies RENAME TO {name};"
                    f"INSERT INTO {name} SELECT * FROM {name} WHERE {key} = 2"
                )
                check = self.check_one(Break(sql), "duplicate_key")
                self.assertEqual(check["sample"], [[name, 2, 2]])

    def test_key_below_1_is_found_in_every_table(self) -> None:
        for table in read_contract().tables:
            for key in (0, -1):
                with self.subTest(table.name, key=key):
                    sql = f"UPDATE {table.name} SET {table.key[0]} = {key} WHERE rowid = 1"
                    check = self.check_one(Break(sql), "key_is_positive")
                    self.assertEqual(check["sample"], [[table.name, key]])

    def test_payments_of_every_status_are_found_unless_they_match_it(self) -> None:
        cases: list[tuple[str, int, int, int]] = [
            (status, total, charged, refunded)
            for total, rounding in ((1200, 5), (5999, 5), (6000, 6), (123_456, 123))
            for sums in [list_sums(total, rounding)]
            for status, charged, refunded in product(PAYMENT_RULES, sums, sums)
        ]
        with self.open_broken(Break("DELETE FROM orders; DELETE FROM payments")) as shop:
            for order_id, (status, total, charged, refunded) in enumerate(cases, 1):
                shop.execute(
                    "INSERT INTO orders VALUES (?, 1, '2024-01-10T09:00:00Z', ?,"
                    " ?, 0, 0, 200, ?)",
                    (order_id, status, total - 200, total),
                )
                shop.executemany(
                    "INSERT INTO payments (order_id, kind, method, status, amount_cents,"
                    " processed_at) VALUES (?, ?, 'card', ?, ?, '2024-01-10T09:00:00Z')",
                    [
                        (order_id, "charge", "succeeded", charged),
                        (order_id, "refund", "succeeded", refunded),
                        (order_id, "charge", "failed", 1200),
                        (order_id, "refund", "failed", 1200),
                    ],
                )
            found = {
                row[0]: query.name
                for query in read_queries(CHECKS_DIR)
                if query.name
                in ("payments_match_order_status", "payments_differ_by_rounding")
                for row in shop.execute(query.sql)
            }
        expected = {n: judge_payments(*case) for n, case in enumerate(cases, 1)}
        self.assertEqual(found, {n: check for n, check in expected.items() if check})

    def test_text_that_starts_a_formula_is_found_in_every_text_column(self) -> None:
        for table in ("products", "users"):
            columns = next(t for t in read_contract().tables if t.name == table).columns
            for column in columns:
                if column.type != "TEXT" or column.name.endswith(("_at", "country_code")):
                    continue
                with self.subTest(column.name):
                    sql = f"UPDATE {table} SET {column.name} = '-2@x' WHERE rowid = 1"
                    check = self.check_one(Break(sql), "text_looks_like_formula")
                    self.assertEqual(check["sample"], [[table, 1, "-2@x"]])

    def test_all_rows_are_counted_and_the_first_five_are_kept(self) -> None:
        fault = Break("UPDATE order_items SET unit_price_cents = unit_price_cents + 1")
        check = self.check_one(fault, "price_differs_from_list")
        self.assertEqual(check["count"], 10)
        self.assertEqual([row[0] for row in check["sample"]], [1, 2, 3, 4, 5])
        self.assertEqual(len(check["sample"]), SAMPLE_ROWS)

    def test_long_text_in_a_sample_is_cut(self) -> None:
        fault = Break("UPDATE users SET city = '=' || printf('%9999d', 1)")
        sample = self.check_one(fault, "text_looks_like_formula")["sample"]
        self.assertEqual({len(row[2]) for row in sample}, {120})

    def test_sum_that_overflows_is_noted_and_the_other_checks_run(self) -> None:
        # Two lines of 2 ** 62 cents each: their sum is above the largest integer of SQLite.
        fault = Break(
            f"UPDATE order_items SET line_total_cents = {2**62} WHERE order_id = 7"
        )
        checks = self.check(fault)
        self.assertEqual(
            (
                checks["money_items_make_subtotal"]["count"],
                checks["money_items_make_subtotal"]["status"],
                checks["money_items_make_subtotal"]["note"],
            ),
            (None, "fail", "the sum of the amounts overflows 64-bit integers"),
        )
        self.assertEqual(checks["money_line_total"]["count"], 2)

    def test_schema_is_not_compared_after_a_load_under_another_schema(self) -> None:
        fault = Break(
            "INSERT INTO submission_meta VALUES ('schema.sql', 'sha256', 'another');"
            "DROP INDEX payments_order_id_idx",
            is_edit=True,
        )
        check = self.check_one(fault, "database_matches_schema")
        self.assertEqual(
            (check["status"], check["count"], check["note"]),
            ("info", None, "the data were loaded under another schema than db/schema.sql"),
        )

    def test_fact_added_to_the_provenance_is_found(self) -> None:
        with self.open_broken(Break("SELECT 1")) as connection:
            connection.execute(
                "INSERT INTO submission_meta VALUES ('submission_meta', 'note', 'trust me')"
            )
            check = check_shop(connection, "files_content_as_loaded")[
                "files_content_as_loaded"
            ]
        self.assertEqual([row[0] for row in check["sample"]], ["submission_meta"])

    def test_cell_edited_after_the_load_is_found_in_every_column(self) -> None:
        for table in read_contract().tables:
            for column in table.columns:
                if column.name in table.key:
                    continue
                change = "|| 'x'" if column.type == "TEXT" else "+ 1"
                with self.subTest(column.name, table=table.name):
                    sql = f"UPDATE {table.name} SET {column.name} = {column.name} {change}"
                    fault = Break(f"{sql} WHERE {table.key[0]} = 3", is_edit=True)
                    check = self.check_one(fault, "files_content_as_loaded")
                    self.assertEqual([row[0] for row in check["sample"]], [table.name])


class SchemaRules(CheckCase):
    """Every rule that `schema.sql` states for a row is also a check of the report."""

    def test_every_check_constraint_has_a_check_that_finds_its_breach(self) -> None:
        schema = SCHEMA_PATH.read_text(encoding="utf-8")
        named = re.findall(r"CONSTRAINT (\w+)\s+CHECK", schema)
        self.assertEqual(len(named), schema.count("CHECK ("))
        self.assertEqual(set(named), set(BROKEN_CONSTRAINTS))
        for constraint, (table, change, name) in BROKEN_CONSTRAINTS.items():
            sql = f"UPDATE {table} SET {change} WHERE rowid = 1"
            with self.subTest(constraint):
                with closing(sqlite3.connect(":memory:")) as connection:
                    self.image.backup(connection)
                    with self.assertRaisesRegex(sqlite3.IntegrityError, constraint):
                        connection.execute(sql)
                self.assertEqual(self.check_one(Break(sql), name)["status"], "fail")

    def test_timestamp_must_exist_in_the_calendar(self) -> None:
        chance = random.Random(3)  # noqa: S311
        texts = [*TIMESTAMPS, *(mistype(chance, text) for text in TIMESTAMPS * 40)]
        users = [
            (n, f"{n}@x", "N", "SE", "C", "a", text) for n, text in enumerate(texts, 1)
        ]
        with closing(sqlite3.connect(":memory:")) as connection:
            self.image.backup(connection)
            connection.execute("PRAGMA ignore_check_constraints = ON")
            connection.execute("DELETE FROM users")
            connection.executemany("INSERT INTO users VALUES (?, ?, ?, ?, ?, ?, ?)", users)
            sql = next(
                q.sql for q in read_queries(CHECKS_DIR) if q.name == "format_timestamp"
            )
            found = {row[2] for row in connection.execute(sql)}
        self.assertEqual(found, {text for text in texts if not is_timestamp(text)})


def is_timestamp(text: str) -> bool:
    """Return whether *text* is a time of Python's calendar, in format and years of ours."""
    form = "%Y-%m-%dT%H:%M:%SZ"
    try:
        instant = datetime.strptime(text, form).replace(tzinfo=UTC)
    except ValueError:
        return False
    return instant.strftime(form) == text and FIRST_YEAR <= instant.year <= LAST_YEAR


def mistype(chance: random.Random, text: str) -> str:
    """Return *text* with one character replaced, dropped or added."""
    at, letter = chance.randrange(len(text) + 1), chance.choice("0123456789-T:Zz ٣")
    return (
        text[:at] + chance.choice([letter, "", letter + text[at : at + 1]]) + text[at + 1 :]
    )


class DuckDb(CheckCase):
    """DuckDB runs the same files unchanged and returns the same rows."""

    def setUp(self) -> None:
        """Open a DuckDB database in memory."""
        if importlib.util.find_spec("duckdb") is None:
            skip_or_fail(
                self, "duckdb is not installed: checks and trends ran on SQLite only"
            )
        self.duckdb: Any = importlib.import_module("duckdb").connect()
        self.addCleanup(self.duckdb.close)

    def copy_shop(self, connection: sqlite3.Connection) -> None:
        """Copy the tables of *connection* to DuckDB, without their rules."""
        names = [table.name for table in read_contract().tables]
        for name in (*names, PROVENANCE_TABLE):
            columns = connection.execute(
                "SELECT name, type FROM pragma_table_info(?)", (name,)
            )
            types = [f"{column} {ENGINE_TYPES[kind]}" for column, kind in columns]
            self.duckdb.execute(f"CREATE OR REPLACE TABLE {name} ({', '.join(types)})")
            cursor = connection.execute(f"SELECT * FROM {name}")
            marks = f"({', '.join('?' * len(types))})"
            while rows := cursor.fetchmany(200):
                # One statement for many rows: DuckDB's executemany takes them one by one.
                self.duckdb.execute(
                    f"INSERT INTO {name} VALUES {', '.join([marks] * len(rows))}",
                    [cell for row in rows for cell in row],
                )

    def assert_same_rows(self, connection: sqlite3.Connection, query: Query) -> None:
        """Fail unless *query* returns the same rows on DuckDB as on *connection*."""
        expected = [list(map(repr, row)) for row in connection.execute(query.sql)]
        found = self.duckdb.execute(query.sql).fetchall()
        self.assertEqual([list(map(repr, row)) for row in found], expected)

    def test_duckdb_returns_the_same_rows_for_the_sample_shop(self) -> None:
        with closing(sqlite3.connect(sample_shop() / "shop.db")) as connection:
            self.copy_shop(connection)
            for query in read_queries(CHECKS_DIR) + read_queries(TRENDS_DIR):
                with self.subTest(query.name):
                    self.assert_same_rows(connection, query)

    def test_duckdb_finds_the_same_broken_rows(self) -> None:
        for query in read_queries(CHECKS_DIR):
            for fault in BREAKS[query.name]:
                with (
                    self.subTest(query.name, sql=fault.sql),
                    self.open_broken(fault) as connection,
                ):
                    self.copy_shop(connection)
                    self.assert_same_rows(connection, query)


# DuckDB's types for those of the contract and of a table made by CREATE TABLE AS.
ENGINE_TYPES = {"INTEGER": "BIGINT", "INT": "BIGINT", "TEXT": "VARCHAR"}


class LoadedShop(ShopCase):
    """A load keeps the last day that the manifest states, for the check of late events."""

    def test_payment_after_the_last_day_of_the_manifest_fails_a_check(self) -> None:
        self.copy_sample()
        self.edit_line("payments.csv", 2, lambda line: re.sub(",202.-", ",2031-", line))
        self.assertEqual(self.ingest().status, 0)
        with closing(sqlite3.connect(self.database)) as connection:
            name = "causality_nothing_after_as_of"
            check = check_shop(connection, name)[name]
        self.assertEqual((check["status"], check["count"]), ("fail", 1))
