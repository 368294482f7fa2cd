"""The server of the dashboard: what it hands out, what it refuses, how it starts and stops.

Everything here talks to this machine only.
"""

from __future__ import annotations

import http.client
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

# How long a started script may take to speak or to end before a test gives up, seconds.
PATIENCE = 30


class Answer(NamedTuple):
    """A response as it came over the wire."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class ServerCase(unittest.TestCase):
    """A test that talks to a server in a thread, with results in `self.folder`."""

    def setUp(self) -> None:
        """Start the server on a free port."""
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name).resolve()
        self.server = server.open_server(self.folder, host="127.0.0.1", port=0)
        self.addCleanup(self.server.server_close)
        # The log of refused requests would only hide the tests' own output.
        silence = mock.patch.object(server.PageRequestHandler, "log_message")
        silence.start()
        self.addCleanup(silence.stop)
        thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(self.server.shutdown)
        self.port = self.server.server_port

    def ask(
        self, path: str | bytes, *, method: str = "GET", host: str | None = None
    ) -> Answer:
        """Send one request, byte for byte, without the politeness of a client library."""
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


class ThePageAndTheResultsAreServed(ServerCase):
    """What a reader and the page ask for is there, under the addresses promised."""

    def test_the_root_and_the_folder_lead_to_the_page(self) -> None:
        for path in ("/", "/frontend", "/?from=bookmark"):
            with self.subTest(path=path):
                answer = self.ask(path)
                self.assertEqual(answer.status, 302)
                self.assertEqual(answer.headers["Location"], "/frontend/")

    def test_the_page_and_its_files_come_as_they_are_with_their_type(self) -> None:
        expected = {
            "/frontend/": ("index.html", "text/html; charset=utf-8"),
            "/frontend/index.html": ("index.html", "text/html; charset=utf-8"),
            "/frontend/dashboard.css": ("dashboard.css", "text/css; charset=utf-8"),
            "/frontend/dashboard.js": ("dashboard.js", "text/javascript; charset=utf-8"),
        }
        for path, (name, content_type) in expected.items():
            with self.subTest(path=path):
                answer = self.ask(path)
                self.assertEqual(answer.status, 200)
                self.assertEqual(answer.body, (ROOT / "frontend" / name).read_bytes())
                self.assertEqual(answer.headers["Content-Type"], content_type)

    def test_the_results_come_from_their_folder_under_both_addresses(self) -> None:
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
                    answer = self.ask(path)
                    self.assertEqual((answer.status, answer.body), (200, text))
                    self.assertEqual(
                        answer.headers["Content-Type"], f"{kind}; charset=utf-8"
                    )

    def test_a_query_string_changes_nothing(self) -> None:
        self.assertEqual(self.ask("/frontend/?v=2").status, 200)

    def test_a_result_made_while_serving_is_there_at_the_next_request(self) -> None:
        self.assertEqual(self.ask("/report.json").status, 404)
        (self.folder / "report.json").write_bytes(b"{}")
        self.assertEqual(self.ask("/report.json").body, b"{}")

    def test_a_missing_result_names_the_command_that_makes_it(self) -> None:
        for path, command in {
            "/report.json": "python ingest.py --report",
            "/report.md": "python ingest.py --report",
            "/frontend/data/report.json": "python ingest.py --report",
            "/query_result.csv": "python run_query.py",
            "/frontend/data/query_result.json": "python run_query.py",
        }.items():
            with self.subTest(path=path):
                answer = self.ask(path)
                self.assertEqual(answer.status, 404)
                self.assertIn(command, answer.body.decode())
                self.assertEqual(
                    answer.headers["Content-Type"], "text/plain; charset=utf-8"
                )

    def test_the_browsers_call_for_an_icon_is_no_error(self) -> None:
        answer = self.ask("/favicon.ico")
        self.assertEqual((answer.status, answer.body), (204, b""))

    def test_head_is_get_without_the_body(self) -> None:
        for path in ("/", "/frontend/", "/report.json", "/nothing"):
            with self.subTest(path=path):
                whole, head = self.ask(path), self.ask(path, method="HEAD")
                self.assertEqual(head.body, b"")
                self.assertEqual(head.status, whole.status)
                self.assertEqual(
                    head.headers["Content-Length"], whole.headers["Content-Length"]
                )


class NothingElseIsHandedOut(ServerCase):
    """Only the listed paths answer, and only with plain files."""

    def test_other_paths_are_not_there(self) -> None:
        for path in (
            "/.git/config",
            "/.gitignore",
            "/db/ecommerce.db",
            "/db/schema.sql",
            "/users.csv",
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
                answer = self.ask(path)
                self.assertIn(answer.status, (400, 404))
                self.assertNotIn(b"<", answer.body)

    def test_a_link_in_place_of_a_result_is_refused(self) -> None:
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
                self.assertEqual(self.ask("/report.json").status, 404)

    def test_a_folder_in_place_of_a_result_is_refused(self) -> None:
        (self.folder / "report.json").mkdir()
        self.assertEqual(self.ask("/report.json").status, 404)

    @unittest.skipUnless(hasattr(os, "mkfifo"), "this system has no named pipes")
    def test_a_pipe_in_place_of_a_result_does_not_hang(self) -> None:
        os.mkfifo(self.folder / "report.json")
        self.assertEqual(self.ask("/report.json").status, 404)

    def test_methods_that_could_change_something_are_refused(self) -> None:
        for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"):
            with self.subTest(method=method):
                answer = self.ask("/frontend/", method=method)
                self.assertEqual(answer.status, 405)
                self.assertEqual(answer.headers["Allow"], "GET, HEAD")

    def test_a_malformed_request_is_refused_in_plain_text(self) -> None:
        answer = self.send(b"GET / HTTP/1.1\r\n" + b"X-More: <b>\r\n" * 200 + b"\r\n")
        self.assertEqual(answer.status, 431)
        self.assertEqual(answer.headers["Content-Type"], "text/plain; charset=utf-8")


class EveryAnswerIsGuarded(ServerCase):
    """Headers and the Host check keep other sites out."""

    def test_every_answer_carries_the_protective_headers(self) -> None:
        for path in ("/", "/frontend/", "/report.json", "/nothing", "/favicon.ico"):
            with self.subTest(path=path):
                headers = self.ask(path).headers
                self.assertEqual(headers["Cache-Control"], "no-store")
                self.assertEqual(headers["X-Content-Type-Options"], "nosniff")
                self.assertEqual(headers["Referrer-Policy"], "no-referrer")
                policy = headers["Content-Security-Policy"]
                self.assertTrue(policy.startswith("default-src 'none'; script-src 'self'"))
                self.assertIn("frame-ancestors 'none'", policy)
                self.assertNotIn("unsafe", policy)

    def test_the_versions_of_python_and_its_parts_are_not_told(self) -> None:
        self.assertEqual(self.ask("/frontend/").headers["Server"], "dashboard")

    def test_names_of_this_machine_are_answered(self) -> None:
        for name in ("localhost", "LOCALHOST", "127.0.0.1", "[::1]"):
            with self.subTest(name=name):
                self.assertEqual(
                    self.ask("/frontend/", host=f"{name}:{self.port}").status, 200
                )

    def test_another_sites_name_is_refused(self) -> None:
        for host in (
            "",
            "localhost",
            f"localhost:{self.port + 1}",
            f"evil.example:{self.port}",
            f"localhost.evil.example:{self.port}",
            f"127.0.0.1.evil.example:{self.port}",
            f"evil.example@localhost:{self.port}",
            f"192.0.2.1:{self.port}",
            f"localhost:{self.port}, evil.example",
        ):
            with self.subTest(host=host):
                self.assertEqual(self.ask("/report.json", host=host).status, 421)

    def test_a_request_must_name_one_host(self) -> None:
        host = f"Host: localhost:{self.port}\r\n"
        for hosts in ("", host * 2):
            with self.subTest(hosts=hosts):
                request = f"GET /frontend/ HTTP/1.1\r\n{hosts}\r\n"
                self.assertEqual(self.send(request.encode()).status, 421)

    def test_on_all_addresses_an_address_will_do_but_not_a_name(self) -> None:
        self.server.host = "0.0.0.0"  # noqa: S104 - only the rule is asked, nothing listens
        for host, is_own in {
            f"192.0.2.1:{self.port}": True,
            "192.0.2.1:9999": True,
            f"[2001:db8::1]:{self.port}": True,
            f"localhost:{self.port}": True,
            f"evil.example:{self.port}": False,
        }.items():
            with self.subTest(host=host):
                self.assertIs(server.is_own_host([host], self.server), is_own)


class ItListensWhereItSays(ServerCase):
    """The address is this machine's own, and what is printed is true."""

    def test_it_listens_on_loopback_unless_told_otherwise(self) -> None:
        args = serve_frontend.build_parser().parse_args([])
        self.assertEqual(args.host, "127.0.0.1")
        self.assertEqual(self.server.server_address[0], "127.0.0.1")
        self.assertEqual(server.startup_notes(self.server), self.missing_notes())

    def test_listening_beyond_loopback_is_warned_about(self) -> None:
        for host in ("0.0.0.0", "::", "192.0.2.1", "shop.example"):  # noqa: S104
            with self.subTest(host=host):
                self.server.host = host
                first = server.startup_notes(self.server)[0]
                self.assertIn("other machines can read", first)

    def test_the_printed_address_is_one_that_a_browser_takes(self) -> None:
        for host, name in {
            "127.0.0.1": "localhost",
            "0.0.0.0": "localhost",  # noqa: S104
            "::": "localhost",
            "localhost": "localhost",
            "::1": "[::1]",
            "127.0.0.5": "127.0.0.5",
        }.items():
            with self.subTest(host=host):
                self.server.host = host
                self.assertEqual(self.server.url, f"http://{name}:{self.port}/frontend/")

    def test_no_name_is_looked_up_to_start(self) -> None:
        with mock.patch("socket.getfqdn", side_effect=AssertionError("slow look-up")):
            other = server.open_server(self.folder, host="127.0.0.1", port=0)
        other.server_close()

    def test_missing_results_are_noted_with_their_commands(self) -> None:
        (self.folder / "report.json").write_bytes(b"{}")
        self.assertEqual(server.startup_notes(self.server), self.missing_notes()[1:])

    def missing_notes(self) -> list[str]:
        """Return what is said when both results are missing."""
        return [
            "report.json is not there yet. Make it with: python ingest.py --report",
            "query_result.json is not there yet. Make it with: python run_query.py",
        ]


class ABusyPortIsSaidInOneLine(ServerCase):
    """A port in use is no traceback."""

    def test_a_port_that_was_asked_for_is_not_exchanged(self) -> None:
        result = call(
            serve_frontend.main, "--port", self.port, "--results-dir", self.folder
        )
        self.assertEqual((result.status, result.stdout), (1, ""))
        self.assertEqual(
            result.stderr,
            f"serve_frontend: error: port {self.port} is in use by another program."
            f" Choose another: --port {self.port + 1}\n",
        )

    def test_the_default_port_moves_on_and_says_so(self) -> None:
        with mock.patch.object(server, "DEFAULT_PORT", self.port):
            other = server.open_server(self.folder, host="127.0.0.1", port=None)
            self.addCleanup(other.server_close)
            self.assertGreater(other.server_port, self.port)
            self.assertEqual(
                server.startup_notes(other)[0],
                f"port {self.port} is busy, port {other.server_port} is used.",
            )

    def test_when_every_default_port_is_busy_it_gives_up(self) -> None:
        with (
            mock.patch.object(server, "DEFAULT_PORT", self.port),
            mock.patch.object(server, "PORTS_TO_TRY", 1),
            self.assertRaisesRegex(DataError, "is in use .* --port"),
        ):
            server.open_server(self.folder, host="127.0.0.1", port=None)


class WrongUsageIsNamed(unittest.TestCase):
    """A fault of the user is named with what was expected."""

    def test_a_port_out_of_range_is_wrong_usage(self) -> None:
        for port in ("65536", "-1", "1e3", "eighty", "", "٨٠", "99999999999"):
            with self.subTest(port=port):
                result = call(serve_frontend.main, f"--port={port}")
                self.assertEqual((result.status, result.stdout), (2, ""))
                self.assertIn("expected 0 to 65535", result.stderr)

    def test_a_folder_that_is_not_there_is_named(self) -> None:
        result = call(serve_frontend.main, "--port=0", "--results-dir", "no-such-folder")
        self.assertEqual(result.status, 1)
        self.assertIn("no-such-folder: no such folder.", result.stderr)

    def test_an_address_that_is_not_ours_is_one_line(self) -> None:
        for host in ("192.0.2.1", "x" * 70):
            with self.subTest(host=host):
                result = call(serve_frontend.main, "--port=0", "--host", host)
                self.assertEqual(result.status, 1)
                self.assertEqual(result.stderr.count("\n"), 1)
                self.assertIn("--host", result.stderr)

    def test_help_does_not_wait_for_the_http_library(self) -> None:
        code = (
            "import sys, serve_frontend as s; s.build_parser().format_help();"
            "sys.exit('http.server' in sys.modules)"
        )
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


class TheScriptStartsAndStops(unittest.TestCase):
    """The script in a process of its own: its first line and its end."""

    def setUp(self) -> None:
        """Make a folder for the results and for what the script prints."""
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)

    def start(self, *prefix: str, **env: str) -> subprocess.Popen[bytes]:
        """Start the script on a free port and wait for its first line.

        Its output goes to files: a pipe that nobody reads would stop it.
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
        """Return what the script has printed so far."""
        return (self.folder / name).read_bytes().replace(b"\r\n", b"\n")

    def test_it_prints_its_address_on_any_terminal_and_answers_there(self) -> None:
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

    def test_open_shows_the_page_in_a_browser_and_ctrl_c_is_no_failure(self) -> None:
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

    def stop(self, process: subprocess.Popen[bytes], number: int) -> None:
        """Send a signal and expect a clean end."""
        process.send_signal(number)
        self.assertEqual(process.wait(PATIENCE), 0)
        self.assertEqual(self.read("stdout").splitlines()[1:], [b"Server stopped."])
        self.assertNotIn(b"Traceback", self.read("stderr"))

    def test_ctrl_c_and_sigterm_end_it_cleanly(self) -> None:
        skip_on_windows("Windows cannot send these signals to a process")
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(signal=number.name):
                self.stop(self.start(), number)

    def test_ctrl_c_ends_it_even_when_it_was_started_with_sigint_ignored(self) -> None:
        skip_on_windows("Windows has no ignored SIGINT to inherit")
        ignoring = (
            "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN);"
            " os.execv(sys.argv[1], sys.argv[1:])"
        )
        self.stop(self.start(sys.executable, "-c", ignoring), signal.SIGINT)


if __name__ == "__main__":
    unittest.main()
