"""Serve the files of the page and the results to this machine only.

A request never becomes a path of the file system: only the exact URL paths in `FILES` are
answered.  So `..`, percent signs, backslashes and NULs need no treatment: they match no
entry.
"""

from __future__ import annotations

import errno
import http.server
import ipaddress
import os
import socket
import socketserver
import stat
import sys
import threading
from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any, NamedTuple

from utils.helpers import DataError, print_safely
from utils.signals import block_signals

DEFAULT_PORT = 8000
PORTS_TO_TRY = 20

# A browser may look up this name as either address of this machine alone.
LOCALHOST = "localhost"
IPV4_LOOPBACK, IPV6_LOOPBACK = "127.0.0.1", "::1"

PAGE_DIR = Path(__file__).resolve().parent
HOME = "/frontend/"


class ServedFile(NamedTuple):
    """A file that may be sent; for a result also the command that makes it."""

    name: str
    content_type: str
    made_by: str | None = None


# `mimetypes` is not used: its table depends on the machine, and on Windows a registry entry
# can declare scripts to be plain text.
INDEX = ServedFile("index.html", "text/html; charset=utf-8")
REPORT = ServedFile(
    "report.json", "application/json; charset=utf-8", "python ingest.py --report"
)
QUERY_RESULT = ServedFile(
    "query_result.json", "application/json; charset=utf-8", "python run_query.py"
)
# In the order in which the page loads them.
SCRIPTS = (
    "files.js",
    "formats.js",
    "elements.js",
    "charts.js",
    "chart_files.js",
    "trend_charts.js",
    "curves.js",
    "selection.js",
    "cohort_cells.js",
    "cohort_table.js",
    "report_panels.js",
    "segments.js",
    "query_panels.js",
    "page.js",
)
FILES = {
    HOME: INDEX,
    "/frontend/index.html": INDEX,
    "/frontend/dashboard.css": ServedFile("dashboard.css", "text/css; charset=utf-8"),
    **{
        f"/frontend/{name}": ServedFile(name, "text/javascript; charset=utf-8")
        for name in SCRIPTS
    },
    "/frontend/data/report.json": REPORT,
    "/frontend/data/query_result.json": QUERY_RESULT,
    "/report.json": REPORT,
    "/query_result.json": QUERY_RESULT,
    "/report.md": ServedFile(
        "report.md", "text/markdown; charset=utf-8", "python ingest.py --report"
    ),
    "/query_result.csv": ServedFile(
        "query_result.csv", "text/csv; charset=utf-8", "python run_query.py"
    ),
}
REDIRECTS = {"/": HOME, "/frontend": HOME}

# The page repeats this policy in a <meta> element, for servers that send no headers;
# frame-ancestors works in a header only.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
    " img-src 'self' data:; base-uri 'none'; form-action 'none'"
)
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": f"{CONTENT_SECURITY_POLICY}; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class DashboardServer(http.server.ThreadingHTTPServer):
    """A server of the page; `results_dir` is the folder of the result files.

    Its `twin`, if it has one, serves the same at another address of this machine.
    """

    # On POSIX this makes the port available at once after a restart.  On Windows it would
    # let two servers share a port; there `server_bind` requires the port for itself.
    allow_reuse_address = os.name == "posix"
    allow_reuse_port = False

    def __init__(self, address: tuple[str, int], results_dir: Path) -> None:
        self.results_dir = results_dir
        self.host = address[0]
        self.moved_from_busy_port = False
        self.twin: DashboardServer | None = None
        self.address_family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        super().__init__(address, PageRequestHandler)

    def server_bind(self) -> None:
        """Bind without `HTTPServer`'s reverse name lookup, which can take seconds."""
        if hasattr(socket, "SO_EXCLUSIVEADDRUSE"):
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        socketserver.TCPServer.server_bind(self)
        if not any(map(str.isalpha, self.host)):
            # An address may be shortened, as 0 and 127.1 are; a browser sends the full one.
            self.host = str(self.server_address[0])
        self.server_name = self.host
        self.server_port = self.server_address[1]

    def serve_forever(self, poll_interval: float = 0.5) -> None:
        """Serve until `shutdown` or a signal; the twin serves in a thread."""
        if self.twin is None:
            super().serve_forever(poll_interval)
            return
        thread = threading.Thread(target=self.twin.serve_forever, args=(poll_interval,))
        thread.daemon = True
        has_started = False
        try:
            # A signal before the thread runs would wait forever for its end.
            with block_signals():
                thread.start()
                has_started = True
            super().serve_forever(poll_interval)
        finally:
            if has_started:
                self.twin.shutdown()

    def server_close(self) -> None:
        """Close the sockets of this server and of its twin."""
        super().server_close()
        if self.twin is not None:
            self.twin.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore a browser that closes the connection; show any other error as a bug."""
        if not isinstance(sys.exception(), (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)

    @property
    def url(self) -> str:
        """The address of the page in a browser on this machine.

        A server at 0.0.0.0 has no IPv6 address, so the page at `localhost` can be that of
        another program.
        """
        host = self.host
        if is_wildcard(host):
            host = IPV6_LOOPBACK if ":" in host else IPV4_LOOPBACK
        return f"http://{bracketed(host)}:{self.server_port}{HOME}"


class PageRequestHandler(http.server.BaseHTTPRequestHandler):
    """Answer GET and HEAD for the paths in `FILES` and `REDIRECTS`; refuse all else."""

    server: DashboardServer
    timeout = 30  # seconds; otherwise an idle connection keeps its thread forever

    def do_GET(self) -> None:
        """Answer with a file, a redirect, or the reason for a refusal."""
        if not is_own_host(self.headers.get_all("Host", []), self.server):
            self.respond(
                HTTPStatus.MISDIRECTED_REQUEST,
                f"This server has another name. The page is at {self.server.url}",
            )
            return
        path = self.path.partition("?")[0]
        if path in REDIRECTS:
            self.respond(HTTPStatus.FOUND, REDIRECTS[path], Location=REDIRECTS[path])
        elif path == "/favicon.ico":
            self.respond(HTTPStatus.NO_CONTENT)
        elif path in FILES:
            self.send_file(FILES[path])
        else:
            self.respond(HTTPStatus.NOT_FOUND, f"Nothing here. The page is at {HOME}")

    def do_HEAD(self) -> None:
        """Answer like GET; `respond` omits the body."""
        self.do_GET()

    def send_file(self, file: ServedFile) -> None:
        """Send *file*, or the command that makes it."""
        path = (PAGE_DIR if file.made_by is None else self.server.results_dir) / file.name
        try:
            content = read_plain_file(path)
        except OSError:
            fault = explain_unserved(file, path) or f"{file.name} cannot be read."
            self.respond(HTTPStatus.NOT_FOUND, fault)
            return
        self.respond(HTTPStatus.OK, content, file.content_type)

    def respond(
        self,
        status: HTTPStatus | int,
        content: str | bytes = b"",
        content_type: str = "text/plain; charset=utf-8",
        **headers: str,
    ) -> None:
        """Send a complete response; for HEAD the same without its body."""
        if isinstance(content, str):
            content = f"{content}\n".encode()
        # The library sends no status line and no headers to HTTP/0.9, which it also assumes
        # in a malformed request.
        self.request_version = self.protocol_version
        self.send_response(status)
        if status != HTTPStatus.NO_CONTENT:
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(content)))
        for name, value in (HEADERS | headers).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def send_error(
        self, code: int, message: str | None = None, explain: str | None = None
    ) -> None:
        """Answer a malformed request in plain text, with the headers of every answer."""
        if code == HTTPStatus.NOT_IMPLEMENTED:  # the base class's answer to other methods
            self.respond(
                HTTPStatus.METHOD_NOT_ALLOWED,
                "This server is read-only: use GET or HEAD.",
                Allow="GET, HEAD",
            )
            return
        self.respond(code, explain or message or HTTPStatus(code).phrase)

    def version_string(self) -> str:
        """Return the Server header, without the versions of Python and its library."""
        return "dashboard"

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Log only refusals."""
        if isinstance(code, int) and code >= HTTPStatus.BAD_REQUEST:
            super().log_request(int(code), size)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's
        """Print a line on stderr; a closed stderr must not prevent the answer."""
        time = self.log_date_time_string()
        line = f"{self.address_string()} - - [{time}] {format % args}"
        print_safely(line, file=sys.stderr)


def read_plain_file(path: Path) -> bytes:
    """Return the bytes of the regular file at *path*; refuse a link, folder or pipe."""
    if not stat.S_ISREG(os.lstat(path).st_mode):
        raise FileNotFoundError(errno.ENOENT, "not a plain file", str(path))
    with open(path, "rb", opener=open_without_links) as file:
        return file.read()


def open_without_links(path: str, flags: int) -> int:
    """Open *path*; refuse a link that has replaced the file since the check."""
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0))


def is_own_host(host_headers: list[str], server: DashboardServer) -> bool:
    """Return whether the Host header of a request names *server*.

    A foreign web page can resolve its own name to 127.0.0.1 and then read from this
    server (DNS rebinding); its requests have that name in the Host header.  The port is of
    no interest: an SSH tunnel or a container may map it to another.  Nor does an address
    matter where other machines may read: rebinding needs a name.
    """
    if len(host_headers) != 1:
        return False
    given = host_headers[0].strip().lower()
    name, _, port = given.rpartition(":")
    if not port.isdigit():
        name = given
    if name in (LOCALHOST, server.host.lower()):
        return True
    address = name.strip("[]")
    return is_address(address) and (is_loopback(address) or not is_loopback(server.host))


def bracketed(host: str) -> str:
    """Return *host* in the form that a URL needs.

    >>> bracketed("::1"), bracketed("localhost")
    ('[::1]', 'localhost')
    """
    return f"[{host}]" if ":" in host else host


def is_address(host: str) -> bool:
    """Return whether *host* is an IP address rather than a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_wildcard(host: str) -> bool:
    """Return whether *host* means all addresses of this machine."""
    return is_address(host) and ipaddress.ip_address(host).is_unspecified


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach *host*.

    >>> is_loopback("127.0.0.1"), is_loopback("0.0.0.0")
    (True, False)
    """
    if is_address(host):
        return ipaddress.ip_address(host).is_loopback
    return host.lower() == LOCALHOST


def open_server(
    results_dir: Path, *, host: str | None, port: int | None
) -> DashboardServer:
    """Return a server that listens on *host* and *port* but does not answer yet.

    The default *host*, `localhost`, is both addresses that it may mean.  Without a *port*,
    use the first free one from `DEFAULT_PORT` on; never replace a given *port* by another.
    Raise `DataError` with the reason and the next step.
    """
    if not results_dir.is_dir():
        raise DataError(
            f"{results_dir}: no such folder. --results-dir must name the folder that"
            f" contains {REPORT.name} and {QUERY_RESULT.name}."
        )
    host = LOCALHOST if host is None else host
    # A socket would listen on all addresses.
    if not host:
        raise DataError(
            f"--host is empty, expected an address such as {IPV4_LOOPBACK}. Omit --host."
        )
    results_dir = results_dir.resolve()
    ports = list_ports(port)
    for attempt, candidate in enumerate(ports, start=1):
        try:
            server = listen(host, candidate, results_dir)
        # `bind` raises TypeError for a name that has no encoding.
        except (OSError, UnicodeError, TypeError) as error:
            if is_port_taken(error) and attempt < len(ports):
                continue
            raise DataError(explain_refusal(error, host, ports[0], ports[-1])) from error
        server.moved_from_busy_port = candidate > ports[0]
        return server
    raise AssertionError("the last attempt opens or raises")


def list_ports(port: int | None) -> Sequence[int]:
    """Return the ports to try: a given *port* alone, or from `DEFAULT_PORT` on.

    Zero, any free port, is tried again: what is free at one address may be in use at the
    other.
    """
    if port is None:
        return range(DEFAULT_PORT, DEFAULT_PORT + PORTS_TO_TRY)
    return [port] if port else [port] * PORTS_TO_TRY


def listen(host: str, port: int, results_dir: Path) -> DashboardServer:
    """Return a server at *host*; at `localhost` one with a twin at the IPv6 address.

    A port that another program has at one of the two addresses counts as in use, because a
    browser might show the page of that program.  A system may have no IPv6.
    """
    if host.lower() != LOCALHOST:
        return DashboardServer((host, port), results_dir)
    server = DashboardServer((IPV4_LOOPBACK, port), results_dir)
    server.host = LOCALHOST
    try:
        server.twin = DashboardServer((IPV6_LOOPBACK, server.server_port), results_dir)
    except OSError as error:
        if is_port_taken(error):
            server.server_close()
            raise
    return server


def is_port_taken(error: Exception) -> bool:
    """Return whether *error* means that another program uses the port.

    Windows reports "access denied" for a port that is in exclusive use or reserved by the
    system.
    """
    return isinstance(error, OSError) and (
        error.errno == errno.EADDRINUSE or (os.name == "nt" and error.errno == errno.EACCES)
    )


def explain_refusal(error: Exception, host: str, first: int, last: int) -> str:
    """Return the reason why no port from *first* to *last* opened, and the next step."""
    if is_port_taken(error):
        ports = f"port {first} is" if first == last else f"ports {first} to {last} are"
        other = last + 1 if last < 65535 else 0
        return f"{ports} in use by another program. Choose another: --port {other}"
    reason = getattr(error, "strerror", None) or error
    if isinstance(error, PermissionError):
        return f"port {first} cannot be opened: {reason}. Choose one above 1023."
    return f"cannot listen on {host}, port {first}: {reason}. Omit --host."


def startup_notes(server: DashboardServer) -> list[str]:
    """Return notes for the user: another port, access from outside, missing results."""
    notes = []
    if server.moved_from_busy_port:
        notes.append(
            f"port {DEFAULT_PORT} is in use, so the server uses port {server.server_port}."
        )
    if not is_loopback(server.host):
        notes.append(
            f"warning: with --host {server.host} other machines can read the results."
        )
    faults = (
        explain_unserved(file, server.results_dir / file.name)
        for file in (REPORT, QUERY_RESULT)
    )
    return notes + [fault for fault in faults if fault]


def explain_unserved(file: ServedFile, path: Path) -> str | None:
    """Return why the result *file* at *path* is not served, and the command that makes it.

    Return None for a regular file, and for a file of the page.
    """
    if file.made_by is None or (path.is_file() and not path.is_symlink()):
        return None
    if path.is_symlink():
        return (
            f"{file.name} is a link, which is not served. Replace it with: {file.made_by}"
        )
    if path.exists():
        return (
            f"{file.name} is not a regular file. Move it away, then create it with:"
            f" {file.made_by}"
        )
    return f"{file.name} does not exist yet. Create it with: {file.made_by}"
