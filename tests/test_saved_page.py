"""The page in one file: what is in it, and that no text of the data leaves its place.

`tests/test_page.py` opens such a file in a browser.
"""

from __future__ import annotations

import base64
import hashlib
import json
import tempfile
import unittest
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple

import serve_frontend
from frontend.saved_page import build_saved_page
from tests.support import call, refuse_to_replace

# What ends a script element or begins a comment in it, and other line ends of Unicode.
HOSTILE = "</script><script>alert(1)</script><!-- --><script \u2028\u2029 &lt; ]]>"
RESULTS = {"report.json": {"name": HOSTILE}, "query_result.json": {"name": "plain"}}


class Element(NamedTuple):
    """An element; the text directly in it is in pieces."""

    tag: str
    attributes: dict[str, str | None]
    pieces: list[str]

    @property
    def text(self) -> str:
        """Return its text."""
        return "".join(self.pieces)


class Elements(HTMLParser):
    """The elements of a document, in `found`."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found = [Element("", {}, [])]
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the element."""
        self.found.append(Element(tag, dict(attrs), []))

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002 - the base's
        """Begin an unnamed element, which gets the text after the end of *tag*."""
        self.found.append(Element("", {}, []))

    def handle_data(self, data: str) -> None:
        """Note the text."""
        self.found[-1].pieces.append(data)


class SavedPage(unittest.TestCase):
    """The file needs nothing else, and names what may run in it."""

    def setUp(self) -> None:
        """Write both results to a folder."""
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name).resolve()
        self.path = self.folder / "new" / "shop.html"
        for name, document in RESULTS.items():
            self.write(name, json.dumps(document, ensure_ascii=False))

    def write(self, name: str, text: str) -> None:
        """Write a result."""
        (self.folder / name).write_text(text, encoding="utf-8")

    def save(self) -> str:
        """Save the page, which must succeed, and return its text."""
        result = call(
            serve_frontend.main, "--save", self.path, "--results-dir", self.folder
        )
        self.assertEqual((result.status, result.stderr), (0, ""))
        self.assertEqual(result.stdout, f"Written: {self.path}\n")
        return self.path.read_bytes().decode("utf-8")

    def expect_refusal(self, *words: str) -> None:
        """Fail unless nothing is saved, with a reason that contains *words*."""
        result = call(
            serve_frontend.main, "--save", self.path, "--results-dir", self.folder
        )
        self.assertEqual((result.status, result.stdout), (1, ""))
        for word in words:
            self.assertIn(word, result.stderr)
        self.assertFalse(self.path.exists())
        self.assertEqual(list(self.folder.glob("**/*.partial")), [])

    def test_results_are_read_from_the_elements_that_hold_them(self) -> None:
        found = {
            each.attributes["id"]: json.loads(each.text)
            for each in Elements(self.save()).found
            if each.attributes.get("type") == "application/json"
        }
        self.assertEqual(found, RESULTS)

    def test_no_text_of_the_data_is_markup(self) -> None:
        page = self.save()
        self.assertNotIn("alert(1)</script>", page)
        self.assertNotIn("\u2028", page)
        self.assertEqual(page.count("<script"), page.count("</script>"))
        kinds = [
            each.attributes.get("type")
            for each in Elements(page).found
            if each.tag == "script"
        ]
        self.assertEqual(kinds, ["application/json", "application/json", None])
        # Neither the script nor the styles end early.
        self.assertNotIn("<!--", page)
        self.assertEqual(page.count("</style"), 1)

    def test_policy_names_the_style_and_the_script_by_their_digests(self) -> None:
        elements = Elements(self.save()).found
        policies = [
            each.attributes.get("content")
            for each in elements
            if each.attributes.get("http-equiv") == "Content-Security-Policy"
        ]
        digests = {
            each.tag: base64.b64encode(hashlib.sha256(each.text.encode()).digest()).decode()
            for each in elements
            if each.tag in ("script", "style") and "type" not in each.attributes
        }
        self.assertEqual(
            policies,
            [
                "; ".join(
                    (
                        "default-src 'none'",
                        f"script-src 'sha256-{digests['script']}'",
                        f"style-src 'sha256-{digests['style']}'",
                        "img-src data:",
                        "base-uri 'none'",
                        "form-action 'none'",
                    )
                )
            ],
        )

    def test_page_names_no_other_file(self) -> None:
        addresses = [
            address
            for each in Elements(self.save()).found
            for name in ("src", "href")
            if (address := each.attributes.get(name)) is not None
        ]
        self.assertEqual([a for a in addresses if a[0] != "#"], ["data:,"])

    def test_same_results_give_the_same_bytes(self) -> None:
        first = self.save()
        for name, document in RESULTS.items():
            self.write(name, json.dumps(document, indent=4))
        self.assertEqual(self.save(), first)

    def test_result_that_cannot_be_saved_is_named_with_its_command(self) -> None:
        command = f"python run_query.py --out-dir {self.folder}"
        for text, words in (
            ("{", "query_result.json: is not JSON in UTF-8: "),
            ('{"a": NaN}', "NaN is not a finite number"),
            (None, "query_result.json does not exist yet"),
        ):
            with self.subTest(words=words):
                if text is None:
                    (self.folder / "query_result.json").unlink()
                else:
                    self.write("query_result.json", text)
                self.expect_refusal(words, command)

    def test_page_is_written_completely_or_not(self) -> None:
        with refuse_to_replace("shop.html"):
            self.expect_refusal("shop.html: cannot be written: in use")

    def test_options_of_the_server_do_not_go_with_it(self) -> None:
        for option in ("--open", "--port=0", "--host=localhost"):
            with self.subTest(option=option):
                result = call(serve_frontend.main, "--save", self.path, option)
                self.assertEqual((result.status, result.stdout), (2, ""))
                self.assertIn("starts no server; omit the other options", result.stderr)

    def test_a_part_of_the_page_that_is_renamed_is_noticed(self) -> None:
        # The page is cut by exact texts: all of them must be in it.
        page = build_saved_page({})
        self.assertNotIn("defer", page)
        self.assertNotIn("dashboard.css", page)
        self.assertNotIn("'self'", page)
        self.assertNotIn('href="data/', page)
