"""The server of the page: what it sends, what it refuses, how it starts and stops.

All connections stay on this machine.
"""

from __future__ import annotations

import errno
import http.client
import io
import os
import queue
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import serve_frontend
from frontend import server
from tests.support import ROOT, call, skip, skip_on_windows
from utils.helpers import DataError

# Longest wait for a started script to print or to end, and for an answer, in seconds.
PATIENCE = 30


class Answer(NamedTuple):
    """A response."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class ServerCase(unittest.TestCase):
    """A test with a server in a thread and a folder of results, `self.folder`."""

    def setUp(self) -> None:
        """Start the server on a free port."""
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name).resolve()
        self.server = server.open_server(self.folder, host="127.0.0.1", port=0)
        self.addCleanup(self.server.server_close)
        # The log of refused requests is not part of the tests' output.
        silence = mock.patch.object(server.PageRequestHandler, "log_message")
        self.log = silence.start()
        self.addCleanup(silence.stop)
        thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(self.server.shutdown)
        self.port = self.server.server_port

    def request(
        self, path: str | bytes, *, method: str = "GET", host: str | None = None
    ) -> Answer:
        """Send one request, byte for byte: a client library would correct it."""
        target = path if isinstance(path, bytes) else path.encode()
        name = f"localhost:{self.port}" if host is None else host
        lines = b"%s %s HTTP/1.1\r\nHost: %s\r\n\r\n"
        return self.send(lines % (method.encode(), target, name.encode()), method=method)

    def send(self, request: bytes, *, method: str = "GET") -> Answer:
        """Send *request* and return the answer."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE) as link:
            link.sendall(request)
            response = http.client.HTTPResponse(link, method=method)
            response.begin()
            return Answer(response.status, dict(response.getheaders()), response.read())


class ServedFiles(ServerCase):
    """The page and the results are served under their documented addresses."""

    def test_root_and_folder_redirect_to_the_page(self) -> None:
        for path in ("/", "/frontend", "/?from=bookmark"):
            with self.subTest(path=path):
                answer = self.request(path)
                self.assertEqual(answer.status, 302)
                self.assertEqual(answer.headers["Location"], "/frontend/")

    def test_page_and_its_files_are_served_unchanged_with_their_type(self) -> None:
        expected = {
            "/frontend/": ("index.html", "text/html; charset=utf-8"),
            "/frontend/index.html": ("index.html", "text/html; charset=utf-8"),
            "/frontend/dashboard.css": ("dashboard.css", "text/css; charset=utf-8"),
        }
        for name in server.SCRIPTS:
            expected[f"/frontend/{name}"] = (name, "text/javascript; charset=utf-8")
        for path, (name, content_type) in expected.items():
            with self.subTest(path=path):
                answer = self.request(path)
                self.assertEqual(answer.status, 200)
                self.assertEqual(answer.body, (ROOT / "frontend" / name).read_bytes())
                self.assertEqual(answer.headers["Content-Type"], content_type)

    def test_results_are_served_from_their_folder_under_both_addresses(self) -> None:
        for name, kind in {
            "report.json": "application/json",
            "query_result.json": "application/json",
            "query_result.csv": "text/csv",
            "report.md": "text/markdown",
        }.items():
            text = f"the bytes of {name}, é".encode()
            (self.folder / name).write_bytes(text)
            paths = [f"/{name}"]
            if name.endswith(".json"):
                paths.append(f"/frontend/data/{name}")
            for path in paths:
                with self.subTest(path=path):
                    answer = self.request(path)
                    self.assertEqual((answer.status, answer.body), (200, text))
                    self.assertEqual(
                        answer.headers["Content-Type"], f"{kind}; charset=utf-8"
                    )

    def test_query_string_changes_nothing(self) -> None:
        self.assertEqual(self.request("/frontend/?v=2").status, 200)

    def test_result_written_while_serving_is_served_at_the_next_request(self) -> None:
        self.assertEqual(self.request("/report.json").status, 404)
        (self.folder / "report.json").write_bytes(b"{}")
        self.assertEqual(self.request("/report.json").body, b"{}")

    def test_answer_for_a_missing_result_names_its_command(self) -> None:
        for path, command in {
            "/report.json": "python ingest.py --report",
            "/report.md": "python ingest.py --report",
            "/frontend/data/report.json": "python ingest.py --report",
            "/query_result.csv": "python run_query.py",
            "/frontend/data/query_result.json": "python run_query.py",
        }.items():
            with self.subTest(path=path):
                answer = self.request(path)
                self.assertEqual(answer.status, 404)
                self.assertIn(command, answer.body.decode())
                self.assertEqual(
                    answer.headers["Content-Type"], "text/plain; charset=utf-8"
                )

    def test_request_for_an_icon_is_no_error(self) -> None:
        answer = self.request("/favicon.ico")
        self.assertEqual((answer.status, answer.body), (204, b""))

    def test_head_answers_like_get_without_the_body(self) -> None:
        for path in ("/", "/frontend/", "/report.json", "/nothing"):
            with self.subTest(path=path):
                full, head = self.request(path), self.request(path, method="HEAD")
                self.assertEqual(head.body, b"")
                self.assertEqual(head.status, full.status)
                self.assertEqual(
                    head.headers["Content-Length"], full.headers["Content-Length"]
                )


class OtherFiles(ServerCase):
    """Only the listed paths are answered, and only with plain files."""

    def test_other_paths_are_refused(self) -> None:
        for path in (
            "/.git/config",
            "/.gitignore",
            "/db/ecommerce.db",
            "/db/schema.sql",
            "/users.csv",
            "/answer_key/faults.csv",
            "/answer_key/manifest.json",
            "/frontend/data/answer_key/faults.csv",
            "/serve_frontend.py",
            "/frontend/server.py",
            "/frontend/__init__.py",
            "/frontend/data/",
            "/frontend/data",
            "/frontend/data/query_result.csv",
            "/db/",
            "/frontend/index.html/",
            "/frontend//",
            "/Frontend/",
            "/frontend/INDEX.HTML",
            "/frontend/index.html%00",
            "/frontend/index.html.",
            "/frontend/index.html::$DATA",
            "/report.json;x",
            "/../",
            "/../../etc/passwd",
            "/frontend/../.git/config",
            "/frontend/%2e%2e/.git/config",
            "/%2e%2e%2f.git/config",
            "/frontend/..%2fserve_frontend.py",
            "/frontend%2findex.html",
            "/frontend\\index.html",
            "/frontend/..\\serve_frontend.py",
            "/..%5c.git%5cconfig",
            "/%66rontend/",
            "*",
            "frontend/",
            "http://localhost/report.json",
            b"/frontend/\x00",
            b"/\xff\xfe",
        ):
            with self.subTest(path=path):
                answer = self.request(path)
                self.assertIn(answer.status, (400, 404))
                self.assertNotIn(b"<", answer.body)

    def test_link_in_place_of_a_result_is_refused(self) -> None:
        secret = self.folder / "secret"
        secret.write_text("secret", encoding="utf-8")
        for target in (secret, ROOT / "serve_frontend.py"):
            with self.subTest(target=target.name):
                link = self.folder / "report.json"
                link.unlink(missing_ok=True)
                try:
                    link.symlink_to(target)
                except OSError as error:
                    skip(f"no symbolic links here: {error}")
                answer = self.request("/report.json")
                self.assertEqual(answer.status, 404)
                self.assertEqual(
                    answer.body.decode(),
                    "report.json is a link, which is not served."
                    " Replace it with: python ingest.py --report\n",
                )
                self.assertIn(
                    answer.body.decode().strip(), server.startup_notes(self.server)
                )

    def test_folder_in_place_of_a_result_is_refused(self) -> None:
        (self.folder / "report.json").mkdir()
        answer = self.request("/report.json")
        self.assertEqual(answer.status, 404)
        self.assertEqual(
            answer.body.decode(),
            "report.json is not a regular file."
            " Move it away, then create it with: python ingest.py --report\n",
        )

    @unittest.skipUnless(hasattr(os, "mkfifo"), "this system has no named pipes")
    def test_pipe_in_place_of_a_result_does_not_block(self) -> None:
        os.mkfifo(self.folder / "report.json")
        self.assertEqual(self.request("/report.json").status, 404)

    def test_methods_other_than_get_and_head_are_refused(self) -> None:
        for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"):
            with self.subTest(method=method):
                answer = self.request("/frontend/", method=method)
                self.assertEqual(answer.status, 405)
                self.assertEqual(answer.headers["Allow"], "GET, HEAD")

    def test_malformed_request_is_refused_in_plain_text(self) -> None:
        answer = self.send(b"GET / HTTP/1.1\r\n" + b"X-More: <b>\r\n" * 200 + b"\r\n")
        self.assertEqual(answer.status, 431)
        self.assertIn(b"100 headers", answer.body)
        self.assertEqual(answer.headers["Content-Type"], "text/plain; charset=utf-8")

    def test_unknown_http_version_is_refused_with_status_and_headers(self) -> None:
        for line, status in {
            b"GET / HTTP/9.9": 505,
            b"GET / HTTP/x": 400,
            b"GET / FTP/1.0": 400,
            b"GET / HTTP/0.9": 421,  # it has no Host header
            b"GET /frontend/": 421,
            b"nonsense": 400,
        }.items():
            with self.subTest(line=line):
                answer = self.send(line + b"\r\n\r\n")
                self.assertEqual(answer.status, status)
                self.assertEqual(answer.headers["X-Content-Type-Options"], "nosniff")


class Log(ServerCase):
    """Only refusals are logged."""

    def test_refusal_is_answered_if_stderr_is_closed(self) -> None:
        mock.patch.stopall()
        with mock.patch.object(sys, "stderr", None):
            self.assertEqual(self.request("/nothing").status, 404)

    def test_control_characters_of_a_request_are_escaped_in_the_log(self) -> None:
        mock.patch.stopall()
        with mock.patch.object(sys, "stderr", io.StringIO()) as stderr:
            self.request(b"/\x1b]0;b\x07\x9b31m")
        self.assertRegex(
            stderr.getvalue(),
            r'127\.0\.0\.1 - - \[.*\] "GET /\\x1b\]0;b\\x07\\x9b31m HTTP/1.1" 404 -\n',
        )

    def test_served_page_is_not_logged(self) -> None:
        self.request("/frontend/")
        self.request("/")
        self.log.assert_not_called()

    def test_every_refusal_is_logged(self) -> None:
        for request, status in {
            b"GET /nothing HTTP/1.1\r\nHost: localhost:%d\r\n\r\n" % self.port: 404,
            b"GET / two HTTP/1.1\r\n\r\n": 400,
        }.items():
            with self.subTest(status=status):
                self.log.reset_mock()
                self.assertEqual(self.send(request).status, status)
                self.log.assert_called_once()


class Protection(ServerCase):
    """Headers and the check of the Host header exclude other sites."""

    def test_every_answer_carries_the_protective_headers(self) -> None:
        for path in ("/", "/frontend/", "/report.json", "/nothing", "/favicon.ico"):
            with self.subTest(path=path):
                headers = self.request(path).headers
                self.assertEqual(headers["Cache-Control"], "no-store")
                self.assertEqual(headers["X-Content-Type-Options"], "nosniff")
                self.assertEqual(headers["Referrer-Policy"], "no-referrer")
                policy = headers["Content-Security-Policy"]
                self.assertTrue(policy.startswith("default-src 'none'; script-src 'self'"))
                self.assertIn("frame-ancestors 'none'", policy)
                self.assertNotIn("unsafe", policy)

    def test_answers_do_not_contain_versions(self) -> None:
        self.assertEqual(self.request("/frontend/").headers["Server"], "dashboard")

    def test_names_of_this_machine_are_answered_at_any_port(self) -> None:
        for name in ("localhost", "LOCALHOST", "127.0.0.1", "127.0.0.9", "[::1]"):
            # With `ssh -L 9000:localhost:8000` a browser states the port of the tunnel.
            for port in (f":{self.port}", ":9000", ""):
                with self.subTest(name=name, port=port):
                    answer = self.request("/frontend/", host=f"{name}{port}")
                    self.assertEqual(answer.status, 200)

    def test_name_of_another_site_is_refused(self) -> None:
        for host in (
            "",
            ":",
            f":{self.port}",
            "localhost:",
            "localhost:80:80",
            f"evil.example:{self.port}",
            "evil.example",
            f"localhost.evil.example:{self.port}",
            f"127.0.0.1.evil.example:{self.port}",
            f"evil.example@localhost:{self.port}",
            f"192.0.2.1:{self.port}",
            f"localhost:{self.port}, evil.example",
        ):
            with self.subTest(host=host):
                self.assertEqual(self.request("/report.json", host=host).status, 421)

    def test_request_without_exactly_one_host_is_refused(self) -> None:
        host = f"Host: localhost:{self.port}\r\n"
        for hosts in ("", host * 2):
            with self.subTest(hosts=hosts):
                request = f"GET /frontend/ HTTP/1.1\r\n{hosts}\r\n"
                self.assertEqual(self.send(request.encode()).status, 421)

    def test_server_on_all_addresses_accepts_any_address_but_no_name(self) -> None:
        self.server.host = "0.0.0.0"  # noqa: S104 - nothing listens there
        for host, is_own in {
            f"192.0.2.1:{self.port}": True,
            "192.0.2.1:9999": True,
            "192.0.2.1": True,
            f"[2001:db8::1]:{self.port}": True,
            f"localhost:{self.port}": True,
            f"evil.example:{self.port}": False,
        }.items():
            with self.subTest(host=host):
                self.assertIs(server.is_own_host([host], self.server), is_own)

    def test_address_of_one_interface_is_answered_as_localhost_is(self) -> None:
        # In a container this is 172.17.0.2, and a browser outside uses another address.
        for own in ("172.17.0.2", "2001:db8::2", "Shop.example"):
            self.server.host = own
            for host, is_own in {
                f"{server.bracketed(own)}:8000": True,
                "localhost:9000": True,
                "192.0.2.1:9000": True,
                "[2001:db8::1]:9000": True,
                "evil.example:8000": False,
                "sub.shop.example:8000": False,
            }.items():
                with self.subTest(own=own, host=host):
                    self.assertIs(server.is_own_host([host], self.server), is_own)


class Address(ServerCase):
    """The server listens on this machine's own address, and prints that address."""

    def test_default_address_is_loopback(self) -> None:
        args = serve_frontend.build_parser().parse_args([])
        default = server.open_server(self.folder, host=args.host, port=0)
        self.addCleanup(default.server_close)
        self.assertEqual(default.server_address[0], "127.0.0.1")
        self.assertEqual(server.startup_notes(default), self.missing_notes())
        self.assertEqual(server.startup_notes(self.server), self.missing_notes())

    def test_other_addresses_than_loopback_give_a_warning(self) -> None:
        for host in ("0.0.0.0", "::", "192.0.2.1", "shop.example"):  # noqa: S104
            with self.subTest(host=host):
                self.server.host = host
                first = server.startup_notes(self.server)[0]
                self.assertIn("other machines can read", first)

    def test_printed_address_is_valid_in_a_browser(self) -> None:
        for host, name in {
            "127.0.0.1": "127.0.0.1",
            "0.0.0.0": "127.0.0.1",  # noqa: S104
            "::": "[::1]",
            "localhost": "localhost",
            "::1": "[::1]",
            "127.0.0.5": "127.0.0.5",
        }.items():
            with self.subTest(host=host):
                self.server.host = host
                self.assertEqual(self.server.url, f"http://{name}:{self.port}/frontend/")

    def test_help_and_readme_name_the_default_port(self) -> None:
        self.assertIn(
            f"(default: {server.DEFAULT_PORT},",
            " ".join(serve_frontend.build_parser().format_help().split()),
        )
        readme = (ROOT / "README.md").read_text(encoding="utf-8")
        self.assertIn(f"http://localhost:{server.DEFAULT_PORT}/frontend/", readme)

    def test_restart_takes_the_same_port_at_once(self) -> None:
        skip_on_windows("Windows has no port that waits after a connection is closed")
        first = server.open_server(self.folder, host="127.0.0.1", port=0)
        with socket.create_connection(("127.0.0.1", first.server_port), PATIENCE):
            # The side that closes a connection first keeps its port for a while.
            first.socket.accept()[0].close()
        first.server_close()
        second = server.open_server(self.folder, host="127.0.0.1", port=first.server_port)
        second.server_close()

    def test_start_looks_up_no_name(self) -> None:
        with mock.patch("socket.getfqdn", side_effect=AssertionError("slow look-up")):
            other = server.open_server(self.folder, host="127.0.0.1", port=0)
        other.server_close()

    def test_missing_results_are_listed_with_their_commands(self) -> None:
        (self.folder / "report.json").write_bytes(b"{}")
        self.assertEqual(server.startup_notes(self.server), self.missing_notes()[1:])

    def missing_notes(self) -> list[str]:
        """Return the notes when both results are missing."""
        return [
            "report.json does not exist yet. Create it with: python ingest.py --report",
            "query_result.json does not exist yet. Create it with: python run_query.py",
        ]


def open_socket(address: str, port: int) -> socket.socket:
    """Return a socket that holds *port* at *address*, as another program would."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    holder = socket.socket(family)
    try:
        holder.bind((address, port))
        holder.listen()
    except OSError:
        holder.close()
        raise
    return holder


class BothLoopbackAddresses(unittest.TestCase):
    """`localhost` may mean 127.0.0.1 or ::1: neither leads to another program."""

    def setUp(self) -> None:
        """Make a folder for the results; skip where the system has no ::1."""
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name).resolve()
        try:
            open_socket("::1", 0).close()
        except OSError as error:
            skip(f"no IPv6 here: {error}")

    def open(self, port: int | None = 0) -> server.DashboardServer:
        """Open a server on `localhost`, which is closed after the test."""
        opened = server.open_server(self.folder, host="localhost", port=port)
        self.addCleanup(opened.server_close)
        return opened

    def test_page_is_served_at_both_until_the_end(self) -> None:
        opened = self.open()
        thread = threading.Thread(target=opened.serve_forever, args=(0.01,))
        thread.start()
        for address in ("127.0.0.1", "::1"):
            with self.subTest(address=address):
                link = http.client.HTTPConnection(address, opened.server_port, PATIENCE)
                self.addCleanup(link.close)
                link.request("GET", "/frontend/", headers={"Host": "localhost"})
                self.assertEqual(link.getresponse().status, 200)
        self.assertEqual(opened.url, f"http://localhost:{opened.server_port}/frontend/")
        opened.shutdown()
        thread.join()
        opened.server_close()
        for address in ("127.0.0.1", "::1"):
            with self.subTest(closed=address), self.assertRaises(ConnectionRefusedError):
                socket.create_connection((address, opened.server_port), PATIENCE)

    def test_signal_before_the_second_address_is_served_ends_the_run(self) -> None:
        opened = self.open()
        with (
            mock.patch.object(threading.Thread, "start", side_effect=KeyboardInterrupt),
            self.assertRaises(KeyboardInterrupt),
        ):
            opened.serve_forever(0.01)

    def test_port_that_another_program_has_at_one_address_is_in_use(self) -> None:
        for address in ("127.0.0.1", "::1"):
            holder = open_socket(address, 0)
            self.addCleanup(holder.close)
            taken = holder.getsockname()[1]
            with self.subTest(address=address):
                with self.assertRaisesRegex(DataError, f"port {taken} is in use"):
                    self.open(taken)
                with mock.patch.object(server, "DEFAULT_PORT", taken):
                    self.assertGreater(self.open(None).server_port, taken)

    def test_any_free_port_is_free_at_both(self) -> None:
        opened, tries = self.open(), []

        def listen(*arguments: object) -> server.DashboardServer:
            tries.append(arguments)
            if len(tries) < 3:
                raise OSError(errno.EADDRINUSE, "Address already in use")
            return opened

        with mock.patch.object(server, "listen", listen):
            self.assertIs(self.open(), opened)

    def test_system_without_ipv6_serves_at_the_other_address(self) -> None:
        with mock.patch.object(server, "IPV6_LOOPBACK", "2001:db8::1"):
            opened = self.open()
        self.assertIsNone(opened.twin)
        self.assertEqual(opened.url, f"http://localhost:{opened.server_port}/frontend/")


class Refusals(unittest.TestCase):
    """A port that cannot be opened is explained, with the next step."""

    def test_taken_port_is_explained_with_the_next_port(self) -> None:
        taken = OSError(errno.EADDRINUSE, "Address already in use")
        for first, last, expected in (
            (
                8000,
                8000,
                "port 8000 is in use by another program. Choose another: --port 8001",
            ),
            (
                8,
                27,
                "ports 8 to 27 are in use by another program. Choose another: --port 28",
            ),
            (
                65535,
                65535,
                "port 65535 is in use by another program. Choose another: --port 0",
            ),
        ):
            with self.subTest(first=first, last=last):
                found = server.explain_refusal(taken, "127.0.0.1", first, last)
                self.assertEqual(found, expected)

    def test_forbidden_port_is_explained_with_the_first_allowed_one(self) -> None:
        self.assertEqual(
            server.explain_refusal(
                PermissionError(errno.EPERM, "Operation not permitted"), "127.0.0.1", 80, 80
            ),
            "port 80 cannot be opened: Operation not permitted. Choose one above 1023.",
        )

    def test_denied_access_means_a_port_in_use_on_windows_only(self) -> None:
        denied = PermissionError(errno.EACCES, "Permission denied")
        self.assertIs(server.is_port_taken(denied), os.name == "nt")
        self.assertTrue(server.is_port_taken(OSError(errno.EADDRINUSE, "in use")))
        self.assertFalse(server.is_port_taken(UnicodeError("label too long")))

    def test_unusable_address_is_explained_with_its_option(self) -> None:
        for error, reason in (
            (
                OSError(errno.EADDRNOTAVAIL, "Cannot assign address"),
                "Cannot assign address",
            ),
            (UnicodeError("label too long"), "label too long"),
        ):
            with self.subTest(reason=reason):
                self.assertEqual(
                    server.explain_refusal(error, "192.0.2.1", 8000, 8019),
                    f"cannot listen on 192.0.2.1, port 8000: {reason}. Omit --host.",
                )

    def test_refused_start_prints_the_explanation_alone(self) -> None:
        refusal = PermissionError(errno.EPERM, "Operation not permitted")
        with mock.patch.object(server.DashboardServer, "server_bind", side_effect=refusal):
            result = call(serve_frontend.main, "--port=80", "--results-dir", ROOT)
        self.assertEqual((result.status, result.stdout), (1, ""))
        self.assertEqual(
            result.stderr,
            "serve_frontend: error: port 80 cannot be opened: Operation not permitted."
            " Choose one above 1023.\n",
        )


class Interruptions(ServerCase):
    """A browser that closes the connection is no error; a bug is one."""

    def test_browser_that_leaves_during_an_answer_leaves_no_traceback(self) -> None:
        # More than the buffers of both sockets hold, so that the server is still sending.
        (self.folder / "report.json").write_bytes(b"x" * 30_000_000)
        handled = threading.Event()
        handle_error = self.server.handle_error

        def handle_and_report(*arguments: object) -> None:
            handle_error(*arguments)
            handled.set()

        stderr = io.StringIO()
        with (
            mock.patch.object(self.server, "handle_error", handle_and_report),
            mock.patch("sys.stderr", stderr),
        ):
            with socket.create_connection(("127.0.0.1", self.port), PATIENCE) as link:
                host = f"localhost:{self.port}"
                link.sendall(f"GET /report.json HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
                self.assertTrue(link.recv(1000))
            self.assertTrue(handled.wait(PATIENCE))
        self.assertEqual(stderr.getvalue(), "")
        self.assertEqual(self.request("/frontend/").status, 200)

    def test_idle_connection_is_closed(self) -> None:
        self.assertLessEqual(server.PageRequestHandler.timeout, 60)
        with (
            mock.patch.object(server.PageRequestHandler, "timeout", 0.05),
            socket.create_connection(("127.0.0.1", self.port), PATIENCE) as link,
        ):
            self.assertEqual(link.recv(1), b"")

    def test_only_a_lost_connection_is_ignored(self) -> None:
        for error, is_shown in {
            ConnectionResetError("left"): False,
            BrokenPipeError("left"): False,
            TimeoutError("idle"): False,
            ZeroDivisionError("a bug"): True,
            OSError("a bug"): True,
        }.items():
            stderr = io.StringIO()
            with self.subTest(error=repr(error)), mock.patch("sys.stderr", stderr):
                try:
                    raise error
                except (OSError, ZeroDivisionError):
                    self.server.handle_error(None, ("127.0.0.1", 1))
                self.assertEqual("Traceback" in stderr.getvalue(), is_shown)


class PortInUse(ServerCase):
    """A port in use is reported in one line."""

    def test_given_port_is_not_replaced_by_another(self) -> None:
        result = call(
            serve_frontend.main, "--port", self.port, "--results-dir", self.folder
        )
        self.assertEqual((result.status, result.stdout), (1, ""))
        self.assertEqual(
            result.stderr,
            f"serve_frontend: error: port {self.port} is in use by another program."
            f" Choose another: --port {self.port + 1}\n",
        )

    def test_default_port_moves_to_the_next_free_one_with_a_note(self) -> None:
        with mock.patch.object(server, "DEFAULT_PORT", self.port):
            other = server.open_server(self.folder, host="127.0.0.1", port=None)
            self.addCleanup(other.server_close)
            self.assertGreater(other.server_port, self.port)
            self.assertEqual(
                server.startup_notes(other)[0],
                f"port {self.port} is in use, so the server uses port {other.server_port}.",
            )

    def test_start_fails_when_every_default_port_is_in_use(self) -> None:
        with (
            mock.patch.object(server, "DEFAULT_PORT", self.port),
            mock.patch.object(server, "PORTS_TO_TRY", 1),
            self.assertRaisesRegex(DataError, "is in use .* --port"),
        ):
            server.open_server(self.folder, host="127.0.0.1", port=None)


class WrongUsage(unittest.TestCase):
    """A wrong option is reported with what was expected."""

    def test_port_out_of_range_is_refused(self) -> None:
        for port in ("65536", "-1", "1e3", "eighty", "", "٨٠", "99999999999"):
            with self.subTest(port=port):
                result = call(serve_frontend.main, f"--port={port}")
                self.assertEqual((result.status, result.stdout), (2, ""))
                self.assertIn("expected a whole number from 0 to 65535", result.stderr)

    def test_missing_folder_is_named(self) -> None:
        result = call(serve_frontend.main, "--port=0", "--results-dir", "no-such-folder")
        self.assertEqual(result.status, 1)
        self.assertIn("no-such-folder: no such folder.", result.stderr)

    def test_foreign_address_is_reported_in_one_line(self) -> None:
        for host in ("192.0.2.1", "x" * 70, "a..b", "[::1]", "\udcff", "\u202e"):
            with self.subTest(host=host):
                result = call(serve_frontend.main, "--port=0", "--host", host)
                self.assertEqual(result.status, 1)
                self.assertEqual(result.stderr.count("\n"), 1)
                self.assertIn("--host", result.stderr)

    def test_empty_host_does_not_listen_on_all_addresses(self) -> None:
        with self.assertRaisesRegex(DataError, "--host is empty, .*Omit --host"):
            server.open_server(Path(tempfile.gettempdir()), host="", port=0)

    def test_shortened_address_is_the_address(self) -> None:
        shortened = server.open_server(Path(tempfile.gettempdir()), host="127.1", port=0)
        self.addCleanup(shortened.server_close)
        self.assertEqual(shortened.url[: len("http://127.0.0.1:")], "http://127.0.0.1:")
        self.assertTrue(
            server.is_own_host([f"127.0.0.1:{shortened.server_port}"], shortened)
        )
        self.assertNotIn("warning", "".join(server.startup_notes(shortened)))

    def test_help_does_not_import_the_http_library(self) -> None:
        code = (
            "import sys, serve_frontend as s; s.build_parser().format_help();"
            "sys.exit('http.server' in sys.modules)"
        )
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def start_with(number: int, action: str) -> list[str]:
    """Return the beginning of a command line that starts a program with *action* set."""
    code = (
        f"import os, signal, sys; signal.signal({int(number)}, signal.{action});"
        " os.execv(sys.argv[1], sys.argv[1:])"
    )
    return [sys.executable, "-c", code]


class StartAndStop(unittest.TestCase):
    """The script in its own process: its first line and its end."""

    def setUp(self) -> None:
        """Make a folder for the results and for what the script prints."""
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)

    def start(self, *prefix: str, **env: str) -> subprocess.Popen[bytes]:
        """Start the script on a free port and wait for its first line.

        Its output goes to files, because a full pipe would block it.
        """
        command = [*prefix, sys.executable, str(ROOT / "serve_frontend.py"), "--port=0"]
        with (
            open(self.folder / "stdout", "wb") as stdout,
            open(self.folder / "stderr", "wb") as stderr,
        ):
            process = subprocess.Popen(
                [*command, "--results-dir", str(self.folder)],
                cwd=self.folder,
                env={**os.environ, **env},
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
            )
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        deadline = time.monotonic() + PATIENCE
        while b"\n" not in self.read("stdout"):
            if process.poll() is not None or time.monotonic() > deadline:
                self.fail(f"no line: {self.read('stderr')!r}")
            time.sleep(0.01)
        return process

    def read(self, name: str) -> bytes:
        """Return what the script has printed."""
        return (self.folder / name).read_bytes().replace(b"\r\n", b"\n")

    def test_address_is_printed_on_any_terminal_and_answers(self) -> None:
        for encoding, plug in {
            "utf-8": "🔌".encode(),
            "ascii": b"\\U0001f50c",
            "cp1252": b"\\U0001f50c",
        }.items():
            with self.subTest(encoding=encoding):
                process = self.start(PYTHONIOENCODING=encoding)
                line = self.read("stdout").splitlines()[0]
                pattern = rb"%s Server running at http://localhost:(\d+)/frontend/"
                self.assertRegex(line, rb"^" + pattern % plug.replace(b"\\", rb"\\") + b"$")
                port = int(line.split(b":")[-1].split(b"/")[0])
                link = http.client.HTTPConnection("localhost", port, timeout=PATIENCE)
                self.addCleanup(link.close)
                link.request("GET", "/frontend/")
                self.assertEqual(link.getresponse().status, 200)
                self.assertIn(b"python run_query.py", self.read("stderr"))
                link.close()
                process.kill()
                process.wait()

    def test_open_shows_the_page_and_ctrl_c_is_no_failure(self) -> None:
        opened: queue.Queue[str] = queue.Queue()

        def open_page(url: str) -> bool:
            opened.put(url)
            return True

        handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
        with (
            mock.patch("webbrowser.open", side_effect=open_page),
            mock.patch.object(
                server.DashboardServer, "serve_forever", side_effect=KeyboardInterrupt
            ),
        ):
            result = call(
                serve_frontend.main, "--port=0", "--open", "--results-dir", self.folder
            )
            address = opened.get(timeout=PATIENCE)
        self.assertEqual(result.status, 0)
        self.assertEqual(
            result.stdout, f"🔌 Server running at {address}\nServer stopped.\n"
        )
        self.assertEqual(
            handlers, [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
        )

    def stop(self, process: subprocess.Popen[bytes], *numbers: int) -> None:
        """Send signals and expect a clean end."""
        notes = self.read("stderr")
        for number in numbers:
            process.send_signal(number)
        self.assertEqual(process.wait(PATIENCE), 0)
        self.assertEqual(self.read("stdout").splitlines()[1:], [b"Server stopped."])
        self.assertEqual(self.read("stderr"), notes)

    def test_ctrl_c_sigterm_and_sighup_end_the_script_cleanly(self) -> None:
        skip_on_windows("Windows cannot send these signals to a process")
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            with self.subTest(signal=number.name):
                self.stop(self.start(*start_with(number, "SIG_DFL")), number)

    def test_two_signals_at_once_end_the_script_as_one_does(self) -> None:
        skip_on_windows("Windows cannot send these signals to a process")
        for numbers in (
            (signal.SIGTERM, signal.SIGINT),
            (signal.SIGINT, signal.SIGTERM, signal.SIGINT),
        ):
            with self.subTest(signals=[number.name for number in numbers]):
                self.stop(self.start(), *numbers)

    # The object is deleted after Python has given all signals their default effect.
    SECOND_AT_THE_END = """
import os, signal, sys
import serve_frontend
class Late:
    def __del__(self, kill=os.kill, process=os.getpid(), number=signal.SIGINT):
        kill(process, number)
late = Late()
serve_frontend.serve = lambda _args: os.kill(os.getpid(), signal.SIGTERM)
sys.exit(serve_frontend.main([]))
"""

    def test_second_signal_at_the_very_end_does_not_change_the_status(self) -> None:
        skip_on_windows("Windows cannot delay signals")
        finished = subprocess.run(
            [sys.executable, "-c", self.SECOND_AT_THE_END],
            cwd=ROOT,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        self.assertEqual(
            (finished.returncode, finished.stdout, finished.stderr),
            (0, "Server stopped.\n", ""),
        )

    def test_ctrl_c_ends_a_script_that_started_with_sigint_ignored(self) -> None:
        skip_on_windows("Windows has no ignored SIGINT to inherit")
        self.stop(self.start(*start_with(signal.SIGINT, "SIG_IGN")), signal.SIGINT)
