"""Texts that differ from others only in characters that nobody sees."""

from __future__ import annotations

import re
import sqlite3
import unicodedata
import unittest
from contextlib import closing

import ingest
from db.reporting.checks import TEXT_CHECK, Row
from db.reporting.invisible_text import PLAIN_TEXT, describe_invisible, escape_invisible
from db.reporting.markdown import render_markdown
from tests.report_case import ReportCase
from tests.shop import PRODUCTS, USERS
from tests.support import call
from tests.test_checks import check_shop
from utils.database import open_database

# Each text, what is invisible in it, and the text as the report shows it.
INVISIBLE = [
    ("social ", "a blank at an end", "'social '"),
    (" social", "a blank at an end", "' social'"),
    ("social\u3000", "a blank at an end", "'social\u3000'"),
    (
        "ann@example.com\u00a0",
        "a blank at an end, U+00A0 no-break space",
        r"'ann@example.com\xa0'",
    ),
    ("paid\u00a0search", "U+00A0 no-break space", r"'paid\xa0search'"),
    ("paid\u2009search", "U+2009 thin space", r"'paid\u2009search'"),
    ("ann@example.com\u200b", "U+200B zero width space", r"'ann@example.com\u200b'"),
    ("\ufeffSKU-1", "U+FEFF zero width no-break space", r"'\ufeffSKU-1'"),
    ("kit\u00adchen", "U+00AD soft hyphen", r"'kit\xadchen'"),
    ("SKU\u200d-1", "U+200D zero width joiner", r"'SKU\u200d-1'"),
    ("Malm\ufffd", "U+FFFD replacement character", r"'Malm\ufffd'"),
    ("a\u202eb", "U+202E right-to-left override", r"'a\u202eb'"),
    ("a\u2066b", "U+2066 left-to-right isolate", r"'a\u2066b'"),
    ("Lund\tSE", "U+0009 control character", r"'Lund\tSE'"),
    (
        "Malmo\u0308",
        "an accent as a character of its own (not NFC)",
        r"'Malmo\u0308'",
    ),
]

# Texts as people write them: accents, other scripts, emoji of several characters.
VISIBLE = [
    "",
    "Malmö",
    "Zoë O'Neil-Ångman",
    "東京 太郎",
    "山田\u3000太郎",
    "می\u200cخواهم",  # Persian: a joiner between two letters
    "क्\u200dष",
    "👩\u200d👩\u200d👧",
    "❤\ufe0f",
    "Thé noir – 20 g",
]


class DescribedTexts(unittest.TestCase):
    """What nobody sees is named, and what is part of a spelling is not."""

    def test_each_invisible_difference_is_named_and_shown_as_an_escape(self) -> None:
        for text, fault, shown in INVISIBLE:
            with self.subTest(fault, text=ascii(text)):
                self.assertEqual(describe_invisible(text), fault)
                self.assertEqual(escape_invisible(text), shown)

    def test_spellings_of_other_scripts_and_emoji_are_not_faults(self) -> None:
        for text in VISIBLE:
            with self.subTest(text):
                self.assertEqual(describe_invisible(text), "")

    def test_every_text_that_is_plain_has_no_fault(self) -> None:
        # SQL omits the plain texts, so the check must not find one of them.
        for code in range(0x2100):
            for text in (chr(code), f"a{chr(code)}b", f"{chr(code)}a"):
                if re.fullmatch(PLAIN_TEXT, text):
                    self.assertEqual(describe_invisible(text), "", ascii(text))


class TwinsInAShop(ReportCase):
    """A shop whose customers and segments are divided invisibly has a warning."""

    def test_every_invisible_text_is_found_in_sqlite_by_its_row_and_column(self) -> None:
        self.make_shop()
        for text, fault, shown in INVISIBLE:
            with self.subTest(fault, text=ascii(text)):
                check = self.check_city(text)
                self.assertEqual(check["sample"], [["users", 3, "city", fault, shown]])
                self.assertEqual((check["status"], check["count"]), ("warn", 1))
        for text in VISIBLE:
            with self.subTest(text):
                self.assertEqual(self.check_city(text)["count"], 0)

    def test_channel_with_a_blank_divides_a_segment_with_a_warning(self) -> None:
        user = (*USERS[0][:5], "organic ", USERS[0][6])
        report = self.report_shop(users=[user, *USERS[1:]])
        self.assertEqual(report["verdict"]["status"], "warn")
        channels = report["trends"]["channels"]["rows"]
        names = {row["acquisition_channel"] for row in channels}
        self.assertLessEqual({"organic", "organic "}, names)
        page = render_markdown(report)
        self.assertIn("| users | 1 | acquisition_channel | a blank at an end |", page)

    def test_pair_of_composed_and_decomposed_accents_names_the_decomposed_row(self) -> None:
        brand = unicodedata.normalize("NFD", "Örn")
        product = (*PRODUCTS[1][:4], brand, *PRODUCTS[1][5:])
        path = self.make_shop(products=[PRODUCTS[0], product, *PRODUCTS[2:]])
        result = call(ingest.main, "--rows", TEXT_CHECK, "--database", path)
        fault = "an accent as a character of its own (not NFC)"
        self.assertEqual(
            result.stdout,
            "table_name,row_id,column_name,invisible,text_value\n"
            f"products,2,brand,{fault},'O\\u0308rn'\n",
        )

    def check_city(self, text: str) -> Row:
        """Return what the check finds in the folder's database with the city *text*."""
        with closing(sqlite3.connect(self.database)) as connection:
            connection.execute("UPDATE users SET city = ? WHERE user_id = 3", (text,))
            connection.commit()
        with open_database(self.database) as connection:
            return check_shop(connection, TEXT_CHECK)[TEXT_CHECK]
