"""Serves asv's pages on loopback: ``python -m lab.history.serve``, which `nox -s serve` runs.

`asv preview` listens on all addresses of the machine. Other local users can reach loopback too, so
the pages are below a random path, which is printed only on this process's terminal.
"""

from __future__ import annotations

import argparse
import contextlib
import hmac
import secrets
import sys
from collections.abc import Sequence
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO, Any


class Pages(SimpleHTTPRequestHandler):
    """Serves the files of a folder below ``/TOKEN/``; answers 404 to all other paths."""

    def __init__(self, *arguments: Any, token: str, **options: Any) -> None:
        self._token = token
        super().__init__(*arguments, **options)

    def send_head(self) -> IO[bytes] | None:  # type: ignore[override] # typeshed: two file types
        """Start the response to GET or HEAD."""
        first, slash, rest = self.path.removeprefix("/").partition("/")
        # Takes equally long for each wrong token, so the time of an answer discloses no part of it.
        if not slash or not hmac.compare_digest(first.encode(), self._token.encode()):
            self.send_error(404)
            return None
        self.path = f"/{rest}"
        return super().send_head()

    def end_headers(self) -> None:
        """Add a header that keeps the secret path out of the `Referer` of followed links."""
        self.send_header("Referrer-Policy", "no-referrer")
        super().end_headers()

    def log_message(self, *_: Any) -> None:
        """Print nothing for each request."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until Ctrl-C; return the exit code."""
    parser = argparse.ArgumentParser(description="Serve asv's pages on loopback.")
    parser.add_argument("folder", nargs="?", type=Path, default=Path("results/asv-html"))
    parser.add_argument("--port", type=int, default=0, help="port on loopback; 0: any free port")
    options = parser.parse_args(arguments)
    if not (options.folder / "index.html").is_file():
        parser.error(f"{options.folder} holds no pages. Run: nox -s history")
    token = secrets.token_urlsafe(16)
    handler = partial(Pages, token=token, directory=str(options.folder))
    with ThreadingHTTPServer(("127.0.0.1", options.port), handler) as server:
        address = f"http://127.0.0.1:{server.server_port}/{token}/"
        sys.stdout.write(f"Serving the pages at {address}; press Ctrl-C to stop.\n")
        sys.stdout.flush()
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
