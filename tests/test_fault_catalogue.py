"""Every fault of the catalogue: its message, and a database that stays as it was."""

from __future__ import annotations

import re

from tests.fault_case import Edit, FaultCase, put, set_cell, set_line, swap_bytes
from utils.contract import read_contract
from utils.rules import read_rules

WITHIN = "discount_cents_is_within_subtotal"
TOTAL = "total_cents_is_subtotal_minus_discount_plus_shipping_plus_tax"
LINE = "line_total_cents_is_quantity_times_unit_price_minus_discount"

# Each CHECK of the schema, broken by one cell: table, line, field, value, and the rules.
BROKEN_RULES: list[tuple[str, int, int, str, list[str]]] = [
    ("users", 5, 1, "0", ["user_id_is_positive"]),
    ("users", 5, 2, "no-at-sign", ["email_has_one_at_sign"]),
    ("users", 5, 4, "us", ["country_code_is_two_capitals"]),
    ("users", 5, 7, "now", ["signed_up_at_is_a_utc_instant"]),
    ("products", 5, 1, "-4", ["product_id_is_positive"]),
    ("products", 5, 6, "-1", ["price_cents_is_not_negative"]),
    ("products", 5, 7, "-1", ["cost_cents_is_not_negative"]),
    ("products", 5, 8, "2023-02-30T00:00:00Z", ["launched_at_is_a_utc_instant"]),
    ("orders", 9, 1, "0", ["order_id_is_positive"]),
    ("orders", 9, 3, "2024-01-01", ["ordered_at_is_a_utc_instant"]),
    ("orders", 9, 4, "Delivered", ["status_is_known"]),
    ("orders", 9, 5, "-1", ["subtotal_cents_is_not_negative"]),
    ("orders", 9, 6, "1001", [WITHIN, TOTAL]),
    ("orders", 9, 7, "-1", ["shipping_cents_is_not_negative"]),
    ("orders", 9, 8, "-1", ["tax_cents_is_not_negative"]),
    ("orders", 9, 9, "1", [TOTAL]),
    ("order_items", 11, 1, "0", ["order_item_id_is_positive"]),
    ("order_items", 11, 4, "0", ["quantity_is_from_1_to_a_million"]),
    ("order_items", 11, 4, "1000001", ["quantity_is_from_1_to_a_million"]),
    (
        "order_items",
        11,
        5,
        str(10**12 + 1),
        ["unit_price_cents_is_from_0_to_a_trillion"],
    ),
    ("order_items", 11, 6, "1001", ["discount_cents_is_within_the_line", LINE]),
    ("order_items", 11, 7, "1", [LINE]),
    ("payments", 14, 1, "0", ["payment_id_is_positive"]),
    ("payments", 14, 3, "gift", ["kind_is_charge_or_refund"]),
    ("payments", 14, 5, "paid", ["status_is_succeeded_or_failed"]),
    ("payments", 14, 6, "-5", ["amount_cents_is_not_negative"]),
    ("payments", 14, 7, "now", ["processed_at_is_a_utc_instant"]),
]


EMPTY = "users.csv: E_EMPTY the file is empty, expected a header"
INTEGER = "expected whole cents such as 4299"
CATALOGUE: list[tuple[str, str, Edit, list[str]]] = [
    # A. The file.  Numbers are those of the catalogue that the project works from.
    ("2 zero bytes", "users", lambda _: b"", [EMPTY]),
    ("2 only a BOM", "users", lambda _: b"\xef\xbb\xbf", [EMPTY]),
    ("2 only blank lines", "users", lambda _: b"\n\r\n  \n", [EMPTY]),
    ("3 header only", "payments", lambda data: data.split(b"\n")[0] + b"\n", []),
    (
        "4 column missing",
        "payments",
        swap_bytes(b",method,", b","),
        ["payments.csv:1: E_HEADER 6 of 7 columns match; add what is missing: method;"],
    ),
    (
        "4 column extra",
        "payments",
        swap_bytes(b"processed_at\n", b"processed_at,note\n"),
        ["payments.csv:1:8: E_HEADER 7 of 7 columns match; remove, or declare in a schema"],
    ),
    (
        "4 columns in another order",
        "payments",
        lambda data: b"\n".join(
            b",".join(reversed(line.split(b","))) for line in data.splitlines()
        ),
        [],
    ),
    (
        "4 column twice",
        "payments",
        swap_bytes(b",method,", b",kind,"),
        [
            (
                "payments.csv:1: E_HEADER 6 of 7 columns match; add what is missing:"
                " method; keep one of each repeated name: 'kind';"
            )
        ],
    ),
    (
        "4 column twice, others between",
        "payments",
        swap_bytes(b",status,", b",kind,"),
        [
            (
                "payments.csv:1: E_HEADER 6 of 7 columns match; add what is missing:"
                " status; keep one of each repeated name: 'kind';"
            )
        ],
    ),
    *[
        (
            f"4 column {fault}",
            "payments",
            swap_bytes(b",method,", b",%s," % name.encode()),
            [f"payments.csv:1:4: E_HEADER 6 of 7 columns match; perhaps rename {name!r}"],
        )
        for fault, name in (
            ("in another case", "Method"),
            ("misspelt", "metod"),
            ("with blanks around it", " method "),
        )
    ],
    (
        "4 column without a name",
        "payments",
        swap_bytes(b",method,", b",,"),
        [
            (
                "payments.csv:1:4: E_HEADER 6 of 7 columns match; add what is missing:"
                " method; name or remove what has no name: field 4;"
            )
        ],
    ),
    ("5 BOM", "users", put(b"\xef\xbb\xbf", at=0), []),
    (
        "6 UTF-16 with a mark",
        "users",
        lambda data: data.decode("utf-8").encode("utf-16"),
        ["users.csv:1: E_ENCODING the file looks like UTF-16, expected UTF-8"],
    ),
    (
        "6 UTF-16 without a mark",
        "users",
        lambda data: data.decode("utf-8").encode("utf-16-be"),
        ["users.csv:1: E_ENCODING the file looks like UTF-16, expected UTF-8"],
    ),
    (
        "6 UTF-32",
        "users",
        lambda data: data.decode("utf-8").encode("utf-32"),
        ["users.csv:1: E_ENCODING the file looks like UTF-32, expected UTF-8"],
    ),
    (
        "7 bytes that are not UTF-8",
        "users",
        swap_bytes("Å".encode(), b"\xc5"),
        ["users.csv:2:3: E_ENCODING byte 97 is c5, which is not UTF-8; save the file as"],
    ),
    (
        "8 NUL",
        "users",
        swap_bytes(b"Leeds", b"Lee\0ds"),
        ["users.csv:3:5: E_NUL a NUL at byte "],
    ),
    (
        "8 NULs and nothing else",
        "users",
        lambda data: b"\0" * len(data),
        ["users.csv:1:1: E_NUL a NUL at byte 0, expected text; its rows were not checked"],
    ),
    ("9 CRLF", "users", swap_bytes(b"\n", b"\r\n"), []),
    (
        "9 CR alone in a row",
        "users",
        swap_bytes(b",GB,", b",\rGB,"),
        ["users.csv:3: E_LINE_END a CR that is not part of a line end"],
    ),
    (
        "9 CR alone in all rows",
        "users",
        swap_bytes(b"\n", b"\r"),
        ["users.csv:1: E_LINE_END a CR that is not part of a line end"],
    ),
    (
        "9 two CRs before each LF",
        "users",
        swap_bytes(b"\n", b"\r\r\n"),
        ["users.csv:1: E_LINE_END a CR that is not part of a line end"],
    ),
    (
        "9 CR at the end of the file",
        "users",
        lambda data: data[:-1] + b"\r",
        ["users.csv:5: E_LINE_END a CR that is not part of a line end"],
    ),
    ("9 CRs within quotes", "users", swap_bytes(b"Leeds", b'"Le\re\r\r\nds\r"'), []),
    ("10 no line end at the end", "users", lambda data: data.rstrip(b"\n"), []),
    (
        "10 last row cut off",
        "users",
        lambda data: data[:-25],
        ["users.csv:5: E_FIELDS 6 fields, expected 7 as in the header"],
    ),
    (
        "11 blank line",
        "users",
        set_line(3, b""),
        [
            "users.csv:3: E_BLANK_LINE the line is blank, remove it",
            *(
                f"orders.csv:{line}:2: E_REFERENCE user_id 2 is not in"
                for line in (3, 5, 9)
            ),
        ],
    ),
    (
        "11 blanks in a line",
        "users",
        put(b"  \t\n", at=0),
        ["users.csv:1: E_BLANK_LINE blank lines come before the header"],
    ),
    (
        "11 blank lines at the end",
        "users",
        lambda data: data + b"\n\n",
        ["users.csv:6: E_BLANK_LINE", "users.csv:7: E_BLANK_LINE"],
    ),
    (
        "11 Ctrl-Z at the end",
        "users",
        lambda data: data + b"\x1a",
        ["users.csv:6: E_FIELDS 1 field, expected 7 as in the header; it is a Ctrl-Z"],
    ),
    (
        "11 two quotes are a cell",
        "users",
        set_line(3, b'""'),
        [
            "users.csv:3: E_FIELDS 1 field, expected 7 as in the header",
            *(
                f"orders.csv:{line}:2: E_REFERENCE user_id 2 is not in"
                for line in (3, 5, 9)
            ),
        ],
    ),
    (
        "12 row too short",
        "payments",
        swap_bytes(b"card,failed,3600", b"card,failed"),
        ["payments.csv:9: E_FIELDS 6 fields, expected 7 as in the header"],
    ),
    (
        "12 row too long",
        "payments",
        swap_bytes(b"card,failed,3600", b"card,failed,3,600"),
        ["payments.csv:9: E_FIELDS 8 fields, expected 7 as in the header"],
    ),
    (
        "12 all rows too short",
        "products",
        lambda data: b"".join(
            line.rpartition(b",")[0] + b"\n" if number else line + b"\n"
            for number, line in enumerate(data.splitlines())
        ),
        [f"products.csv:{line}: E_FIELDS 7 fields, expected 8" for line in range(2, 6)],
    ),
    (
        "13 quote never closed",
        "users",
        swap_bytes(b"Leeds", b'"Leeds'),
        ["users.csv:3:5: E_QUOTES the quote that opens here is never closed"],
    ),
    (
        "13 quote never closed, after a line break in quotes",
        "users",
        swap_bytes(b"Bob Brown,GB,Leeds", b'"Bob\nBrown",GB,"Leeds'),
        ["users.csv:4:5: E_QUOTES the quote that opens here is never closed"],
    ),
    (
        "14 text after a closing quote",
        "users",
        swap_bytes(b"Leeds", b'"Lee"ds'),
        ["users.csv:3:5: E_QUOTES text follows a closing quote, expected a comma"],
    ),
    ("14 quote within a cell without quotes", "users", swap_bytes(b"Leeds", b'Le"eds'), []),
    (
        "15 line breaks in quotes before a fault",
        "users",
        lambda data: swap_bytes(b"Null,SE", b"Null,se")(
            swap_bytes(b"Leeds", b'"Le\r\ne\nds"')(data)
        ),
        ["users.csv:7:4: E_RULE country_code is 'se', which breaks the rule country_code"],
    ),
    (
        "16 field too long",
        "users",
        swap_bytes(b"Leeds", b"x" * 131_073),
        ["users.csv:3:5: E_TOO_LONG a field is longer than 131,072 characters"],
    ),
    ("16 field just short enough", "users", swap_bytes(b"Leeds", b"x" * 131_072), []),
    (
        "17 semicolons",
        "users",
        swap_bytes(b",", b";"),
        ["users.csv:1: E_DELIMITER columns look separated by semicolons, expected columns"],
    ),
    (
        "17 tabs",
        "users",
        swap_bytes(b",", b"\t"),
        ["users.csv:1: E_DELIMITER columns look separated by tabs"],
    ),
    (
        "17 colons",
        "users",
        swap_bytes(b",", b":"),
        ["users.csv:1: E_DELIMITER columns look separated by colons"],
    ),
    (
        "17 blanks",
        "users",
        swap_bytes(b",", b" "),
        ["users.csv:1: E_DELIMITER columns look separated by blanks"],
    ),
    (
        "17 a line for Excel",
        "users",
        put(b"sep=,\n", at=0),
        ["users.csv:1: E_DELIMITER the first line sets a separator for Excel, remove it"],
    ),
    (
        "19 the file of another table",
        "users",
        lambda _: b"product_id,sku\n1,SKU-1\n",
        [
            (
                "users.csv:1: E_HEADER 0 of 7 columns match; add what is missing: user_id,"
                " email, full_name"
            )
        ],
    ),
    # B. The value.
    (
        "21 nothing where a value belongs",
        "users",
        set_cell(3, 5, ""),
        ["users.csv:3:5: E_MISSING city is '', expected a value"],
    ),
    *[
        (
            f"21 nothing in {column}",
            name,
            set_cell(line, field, ""),
            [f"{name}.csv:{line}:{field}: E_MISSING {column} is '', expected a value"],
        )
        for name, line, field, column in (
            ("users", 5, 1, "user_id"),
            ("orders", 9, 3, "ordered_at"),
            ("payments", 14, 6, "amount_cents"),
        )
    ],
    ("21 the word NULL is a word", "users", set_cell(3, 5, "NULL"), []),
    (
        "21 the word NULL is no number",
        "orders",
        set_cell(9, 9, "NULL"),
        [f"orders.csv:9:9: E_INTEGER total_cents is 'NULL', {INTEGER}"],
    ),
    *[
        (
            f"22 {value!r} for an integer",
            "orders",
            set_cell(9, 9, value),
            [f"orders.csv:9:9: E_INTEGER total_cents is {value!r}, {INTEGER}{hint}"],
        )
        for value, hint in (
            (" 1200 ", "; perhaps 1200"),
            ("+1200", "; perhaps 1200"),
            ("01200", "; perhaps 1200"),
            ("1.2e3", "; write it without an exponent"),
            ("1e3", "; write it without an exponent"),
            ("1200.0", "; is it 1200 or 120000 cents?"),
            ("5.", ""),
            ("1_200", ""),
            ("0x10", ""),
            ("１２", "; perhaps 12"),
            ("\u00a012", "; perhaps 12"),
            ("-0", "; perhaps 0"),
            ("inf", ""),
            ("nan", ""),
            ("1e400", "; write it without an exponent"),
            ("12.00", "; perhaps 1200"),
            ("19.99", "; perhaps 1999"),
            ("19.999", "; is the point a decimal point or"),
            ("19.9", "; perhaps 1990"),
            ("$19.99", "; perhaps 1999"),
            ("12.50", "; perhaps 1250"),
            ("12 ", "; perhaps 12"),
            ("１", "; perhaps 1"),
            ("5.0", "; is it 5 or 500 cents?"),
            ("abc", ""),
            ("N/A", ""),
            ("NaN", ""),
        )
    ],
    *[
        (
            f"23 {value} for an integer",
            "orders",
            set_cell(9, 9, value),
            [f"orders.csv:9:9: E_RANGE total_cents is {value[:40]!r}"],
        )
        for value in (str(2**63), str(-(2**63) - 1), "9" * 40, "9" * 5000)
    ],
    (
        "23 the largest integer",
        "order_items",
        set_cell(11, 7, str(2**63 - 1)),
        ["order_items.csv:11:7: E_RULE line_total_cents is '9223372036854775807'"],
    ),
    (
        "24 a thousand written with a comma",
        "orders",
        swap_bytes(b",1200\n", b",1,200\n"),
        ["orders.csv:9: E_FIELDS 10 fields, expected 9 as in the header"],
    ),
    (
        "24 negative money",
        "payments",
        set_cell(3, 6, "-1"),
        [
            (
                "payments.csv:3:6: E_RULE amount_cents is '-1', which breaks the rule"
                " amount_cents"
            )
        ],
    ),
    *[
        (
            f"25 {value} for an instant",
            "payments",
            set_cell(3, 7, value),
            [
                (
                    f"payments.csv:3:7: E_RULE processed_at is '{value}', which breaks the"
                    " rule processed_at_is_a_utc_instant; expected a valid UTC instant"
                )
            ],
        )
        for value in (
            "2024-02-30T00:00:00Z",
            "2023-02-29T00:00:00Z",
            "2024-04-31T00:00:00Z",
            "2024-13-01T00:00:00Z",
            "2024-1-1T00:00:00Z",
            "now",
            "2460000.5",
            "2024-01-01",
            "2024-01-01T24:00:00Z",
            "2024-01-01T23:59:60Z",
            "2024-01-01T00:00:00+01:00",
            "2024-01-01 00:00:00",
            "2024-01-01T00:00:00",
            "2024-01-01T00:00:60Z",
            "2024-01-01T00:00:00+00:00",
            "2024-1-1T0:0:0Z",
        )
    ],
    (
        "26 a word in another case",
        "payments",
        set_cell(3, 3, "Charge"),
        [
            (
                "payments.csv:3:3: E_RULE kind is 'Charge', which breaks the rule"
                " kind_is_charge_or_refund; expected one of 'charge', 'refund'; did you"
                " mean 'charge'?"
            )
        ],
    ),
    (
        "26 a word with a blank",
        "payments",
        set_cell(3, 5, "succeeded "),
        ["payments.csv:3:5: E_RULE status is 'succeeded ', which breaks the rule"],
    ),
    ("26 addresses that differ in case", "users", set_cell(3, 2, "ANN@example.com"), []),
    *[
        (f"27 text {text[:12]!r}", "users", set_cell(3, 5, text), [])
        for text in (
            "O'Neil",
            "a;b",
            "-- x",
            "<script>alert(1)</script>",
            "=cmd|' /C calc'!A0",
            "\u202eabc",
            "🛒",
            "é",
            "e\u0301",
            "\u2028",
            "x" * 100_000,
        )
    ],
    # C. The relations.
    (
        "28 the same row twice",
        "users",
        lambda data: data + data.splitlines(keepends=True)[2],
        [
            "users.csv:6:1: E_DUPLICATE user_id '2' is already in line 3, expected it once",
            "users.csv:6:2: E_DUPLICATE email 'bob@example.com' is already in line 3",
        ],
    ),
    (
        "28 another row of the same key",
        "users",
        set_cell(5, 1, "2"),
        ["users.csv:5:1: E_DUPLICATE user_id '2' is already in line 3, expected it once"],
    ),
    (
        "28 a key of a row that was refused before",
        "users",
        lambda data: set_cell(5, 1, "2")(set_cell(3, 4, "x")(data)),
        [
            "users.csv:3:4: E_RULE country_code is 'x'",
            "users.csv:5:1: E_DUPLICATE user_id '2' is already in line 3, expected it once",
        ],
    ),
    (
        "29 no key",
        "payments",
        set_cell(3, 1, ""),
        ["payments.csv:3:1: E_MISSING payment_id is '', expected a value"],
    ),
    (
        "30 a unique value twice",
        "products",
        set_cell(5, 2, "SKU-2"),
        [
            (
                "products.csv:5:2: E_DUPLICATE sku 'SKU-2' is already in line 3,"
                " expected it once"
            )
        ],
    ),
    (
        "30 an address twice",
        "users",
        set_cell(5, 2, "bob@example.com"),
        ["users.csv:5:2: E_DUPLICATE email 'bob@example.com' is already in line 3"],
    ),
    (
        "31 no such user",
        "orders",
        set_cell(9, 2, "77"),
        ["orders.csv:9:2: E_REFERENCE user_id 77 is not in users.csv"],
    ),
    (
        "31 no such order",
        "order_items",
        set_cell(11, 2, "77"),
        ["order_items.csv:11:2: E_REFERENCE order_id 77 is not in orders.csv"],
    ),
    (
        "31 no such product",
        "order_items",
        set_cell(11, 3, "77"),
        ["order_items.csv:11:3: E_REFERENCE product_id 77 is not in products.csv"],
    ),
    (
        "31 no such order of a payment",
        "payments",
        set_cell(14, 2, "77"),
        ["payments.csv:14:2: E_REFERENCE order_id 77 is not in orders.csv"],
    ),
    (
        "31 and something else in the row",
        "payments",
        lambda data: set_cell(14, 2, "77")(set_cell(14, 3, "gift")(data)),
        [
            "payments.csv:14:3: E_RULE kind is 'gift'",
            "payments.csv:14:2: E_REFERENCE order_id 77 is not in orders.csv",
        ],
    ),
    (
        "31 a parent that was refused for its city",
        "users",
        set_cell(3, 5, ""),
        ["users.csv:3:5: E_MISSING city is ''"],
    ),
    (
        "31 a parent whose key has another spelling",
        "users",
        set_cell(3, 1, "02"),
        [
            (
                "users.csv:3:1: E_INTEGER user_id is '02', expected a whole number such as"
                " 4299; perhaps 2"
            )
        ],
    ),
    (
        "32 rows in another order",
        "users",
        lambda data: b"\n".join([data.splitlines()[0], *reversed(data.splitlines()[1:])]),
        [],
    ),
    ("34 what the report finds is no fault", "payments", set_cell(2, 6, "4701"), []),
]


class CatalogueCase(FaultCase):
    """A test that loads the files with one fault after the other."""

    def setUp(self) -> None:
        """Load the sound files: into the database that has to stay."""
        super().setUp()
        self.assertEqual(self.ingest().status, 0)
        self.before = self.database.read_bytes()

    def load_broken(self, name: str, edit: Edit) -> list[str]:
        """Load the files with *edit* in one; return the faults that are printed.

        The database must stay unchanged if there is one, and nothing may lie beside it.
        """
        path = self.folder / f"{name}.csv"
        sound = path.read_bytes()
        path.write_bytes(edit(sound))
        files = {path.name for path in self.folder.iterdir()}
        result = self.ingest()
        path.write_bytes(sound)
        self.assertNotIn("Traceback", result.stderr)
        self.assertEqual({path.name for path in self.folder.iterdir()}, files)
        if result.status == 0:
            self.database.write_bytes(self.before)
            return []
        self.assertEqual((result.status, result.stdout), (1, ""))
        self.assertEqual(self.database.read_bytes(), self.before)
        first, *faults = result.stderr.splitlines()
        noun = "fault" if len(faults) == 1 else "faults"
        self.assertEqual(
            first,
            f"ingest: error: {len(faults)} {noun} in the input; the database was left as it"
            " is.",
        )
        return faults


class FaultCatalogue(CatalogueCase):
    """A load prints exactly the expected faults and changes nothing."""

    def test_each_entry_gives_its_faults_and_no_others(self) -> None:
        for fault, name, edit, expected in CATALOGUE:
            with self.subTest(fault):
                found = self.load_broken(name, edit)
                self.assertEqual(len(found), len(expected), found)
                for line, beginning in zip(found, expected, strict=True):
                    self.assertEqual(line[: len(beginning)], beginning)


class SchemaRules(CatalogueCase):
    """Each CHECK of the schema is named with the column that its name begins with."""

    def test_each_broken_rule_is_named_with_its_column(self) -> None:
        for name, line, field, value, rules in BROKEN_RULES:
            with self.subTest(table=name, field=field, value=value):
                found = self.load_broken(name, set_cell(line, field, value))
                own = [fault for fault in found if fault.startswith(f"{name}.csv:{line}:")]
                self.assertEqual(
                    [
                        re.findall(r"E_RULE (\w+) is .* the rule (\w+)", each)
                        for each in own
                    ],
                    [[(re.split("_(?:is|has)_", rule)[0], rule)] for rule in rules],
                )

    def test_each_rule_of_the_schema_is_in_the_list(self) -> None:
        rules = {
            rule.name
            for statement in read_contract().table_statements
            for rule in read_rules(statement)
        }
        self.assertGreater(len(rules), 20)
        self.assertEqual({rule for *_, broken in BROKEN_RULES for rule in broken}, rules)
