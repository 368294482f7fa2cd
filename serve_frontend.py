"""Serve the dashboard to a browser on this machine: python serve_frontend.py."""

from __future__ import annotations

import signal

if __name__ == "__main__" and signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
    # Until `main` handles it, Ctrl-C ends the run at once: an import prints no traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import argparse
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from utils.arguments import (
    CommandLineParser,
    complete_commands,
    complete_error,
    whole_number,
)
from utils.helpers import (
    PROJECT_ROOT,
    DataError,
    print_safely,
    report_error,
    shorten_path,
)
from utils.signals import raise_on_signals


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until stopped, or save the page; return the exit status."""
    parser = build_parser()
    args = parser.parse_args(argv)
    if args.save and (args.open or args.port is not None or args.host is not None):
        parser.error("--save writes a file and starts no server; omit the other options")
    # A shell's background jobs ignore SIGINT, but must end.
    usual = (signal.SIGINT, signal.SIGTERM)
    try:
        if args.save:
            save(args)
            return 0
        with suppress(KeyboardInterrupt), raise_on_signals(though_ignored=usual):
            serve(args)
    except (DataError, OSError) as error:
        report_error("serve_frontend", complete_error(error, args))
        return 1
    # Its terminal may be closed.
    with suppress(DataError):
        print_safely("Server stopped.")
    return 0


def save(args: argparse.Namespace) -> None:
    """Write the page with the results to the file that *args* name."""
    from frontend.saved_page import save_page

    save_page(args.out_dir or PROJECT_ROOT, args.save)
    print_safely(f"Written: {shorten_path(args.save)}")


def serve(args: argparse.Namespace) -> None:
    """Serve what *args* name until a signal arrives."""
    # Imported late: importing http.server takes longer than all of --help.
    from frontend.server import open_server, startup_notes

    results_dir = args.out_dir or PROJECT_ROOT
    with open_server(results_dir, host=args.host, port=args.port) as server:
        for note in startup_notes(server):
            message = complete_commands(note, args)
            print_safely(f"serve_frontend: {message}", file=sys.stderr)
        print_safely(f"🔌 Server running at {server.url}")
        if args.open:
            open_browser(server.url)
        server.serve_forever()


def open_browser(url: str) -> None:
    """Open *url* in a thread, because some browsers return only when they are closed."""
    import webbrowser

    def open_page() -> None:
        if not webbrowser.open(url):
            print_safely("serve_frontend: no browser found.", file=sys.stderr)

    threading.Thread(target=open_page, daemon=True).start()


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of this script's arguments."""
    parser = CommandLineParser(
        prog="serve_frontend.py",
        description="Serve the dashboard and the results that it shows; stop with Ctrl-C."
        " Or save both in one file.",
    )
    parser.add_argument(
        "--port",
        type=whole_number(0, 65535),
        metavar="N",
        help="port to listen on; 0 is any free port (default: 8000, or the next free one)",
    )
    parser.add_argument(
        "--host",
        help="address to listen on (default: localhost, for this machine only)",
    )
    parser.add_argument(
        "--results-dir",
        dest="out_dir",  # its name in the commands that write it
        type=Path,
        metavar="DIR",
        help="folder of report.json and query_result.json (default: the project's root)",
    )
    parser.add_argument(
        "--open", action="store_true", help="open the page in the default browser"
    )
    parser.add_argument(
        "--save",
        type=Path,
        metavar="FILE",
        help="write the page with the results to FILE, such as shop.html, which opens"
        " without a server; start none",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
