"""Write the page and both results to one file, which a double click opens, offline.

A browser does not let a page that was opened as a file read other files, so the scripts,
the styles and the results are inside it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path

from frontend.server import (
    CONTENT_SECURITY_POLICY,
    PAGE_DIR,
    QUERY_RESULT,
    REPORT,
    SCRIPTS,
    ServedFile,
    explain_unserved,
)
from utils.atomic_files import write_atomically
from utils.helpers import DataError, parse_json
from utils.verification import read_result

# Inside a script element `</script>` ends it and `<!--` begins a comment, also in a text.
# The two line ends of Unicode are escaped for programs that read the block as JavaScript.
_ESCAPES = {ord("<"): "\\u003c", 0x2028: "\\u2028", 0x2029: "\\u2029"}

_LINKED_SCRIPT = re.compile(r'<script src="[^"]+" defer></script>\n')
_LINKED_RESULT = re.compile(r'<a href="data/[^"]+">([^<]+)</a>')
_LINKED_STYLE = '<link rel="stylesheet" href="dashboard.css">'


def save_page(results_dir: Path, path: Path) -> None:
    """Write the page with the results in *results_dir* to *path*, atomically.

    Raise `DataError` if a result is missing or is not JSON, or *path* cannot be written.
    """
    results = {
        file.name: _read_json_text(file, results_dir / file.name)
        for file in (REPORT, QUERY_RESULT)
    }
    write_atomically({path: build_saved_page(results)})


def _read_json_text(file: ServedFile, path: Path) -> str:
    """Return the result *file* at *path* as JSON without blanks between its values."""
    if not path.exists():
        raise DataError(explain_unserved(file, path) or str(path))
    try:
        document = parse_json(read_result(path))
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read: {error.strerror or error}. Create it again with:"
            f" {file.made_by}"
        ) from error
    except ValueError as error:
        raise DataError(
            f"{path}: is not JSON in UTF-8: {error}. Create it again with: {file.made_by}"
        ) from error
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def build_saved_page(results: Mapping[str, str]) -> str:
    """Return the page as one document with *results*, JSON texts by the names of files.

    Its content security policy names the style and the script in it by their digests, and
    allows no request.  The results are elements that no browser executes.
    """
    script = "".join(map(_read_part, SCRIPTS))
    style = _read_part("dashboard.css")
    policy = CONTENT_SECURITY_POLICY.replace("connect-src 'self'; ", "")
    policy = policy.replace("img-src 'self' data:", "img-src data:")
    policy = policy.replace("script-src 'self'", f"script-src '{_digest(script)}'")
    policy = policy.replace("style-src 'self'", f"style-src '{_digest(style)}'")

    page = _LINKED_RESULT.sub(r"\1", _LINKED_SCRIPT.sub("", _read_part("index.html")))
    page = page.replace(CONTENT_SECURITY_POLICY, policy)
    page = page.replace(_LINKED_STYLE, f"<style>{style}</style>")
    blocks = [
        f'<script type="application/json" id="{name}">{text.translate(_ESCAPES)}</script>\n'
        for name, text in results.items()
    ]
    # At the end: a script inside the document does not wait for the elements after it.
    head, end, tail = page.rpartition("</body>")
    return f"{head}{''.join(blocks)}<script>{script}</script>\n{end}{tail}"


def _read_part(name: str) -> str:
    return (PAGE_DIR / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    """Return the digest of *text* as a content security policy states it."""
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"
