"""Serve the dashboard to a browser on this machine: python serve_frontend.py."""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from utils.helpers import PROJECT_ROOT, DataError, print_safely, report_error


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until stopped, and return the exit status."""
    args = build_parser().parse_args(argv)
    # Imported late: http.server alone costs more time than all of --help.
    from frontend import server

    try:
        with (
            server.stop_on_signals(),
            server.open_server(args.results_dir, host=args.host, port=args.port) as shop,
        ):
            for note in server.startup_notes(shop):
                print_safely(f"serve_frontend: {note}", file=sys.stderr)
            print_safely(f"🔌 Server running at {shop.url}")
            sys.stdout.flush()
            if args.open:
                open_browser(shop.url)
            shop.serve_forever()
    except (DataError, OSError) as error:
        report_error("serve_frontend", error)
        return 1
    print_safely("Server stopped.")
    return 0


def open_browser(url: str) -> None:
    """Open *url* beside the server: some browsers return only when they are closed."""
    import webbrowser

    def open_page() -> None:
        if not webbrowser.open(url):
            print_safely("serve_frontend: no browser was found.", file=sys.stderr)

    threading.Thread(target=open_page, daemon=True).start()


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of this script's arguments."""
    parser = argparse.ArgumentParser(
        prog="serve_frontend.py",
        description="Serve the dashboard and the results it reads; stop with Ctrl-C.",
    )
    parser.add_argument(
        "--port",
        type=port_number,
        metavar="N",
        help="port to listen on, 0 for any free one (default: 8000, or the next free one)",
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on (default: %(default)s, for this machine only)",
    )
    parser.add_argument(
        "--results-dir",
        type=Path,
        default=PROJECT_ROOT,
        metavar="DIR",
        help="folder with report.json and query_result.json (default: the project)",
    )
    parser.add_argument(
        "--open", action="store_true", help="open the page in the default browser"
    )
    return parser


def port_number(text: str) -> int:
    """Return *text* as a port, 0 to 65535."""
    if not (text.isascii() and text.isdigit() and int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: expected 0 to 65535")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
