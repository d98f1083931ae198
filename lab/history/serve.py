"""Shows asv's pages on this machine: ``python -m lab.history.serve``, which `nox -s serve` runs.

`asv preview` listens on every address of the machine, and on loopback alone every user of it would
still read along. Here the pages lie below a random path, which only who started this is told.
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
    """Answers with files of a folder below ``/TOKEN/``, and with 404 to all else."""

    def __init__(self, *arguments: Any, token: str, **options: Any) -> None:
        self._token = token
        super().__init__(*arguments, **options)

    def send_head(self) -> IO[bytes] | None:  # type: ignore[override] # typeshed: two file types
        """Begin an answer to GET or HEAD."""
        first, slash, rest = self.path.removeprefix("/").partition("/")
        if not slash or not hmac.compare_digest(first.encode(), self._token.encode()):
            self.send_error(404)
            return None
        self.path = f"/{rest}"
        return super().send_head()

    def end_headers(self) -> None:
        """Have browsers keep the path to themselves when somebody follows a link."""
        self.send_header("Referrer-Policy", "no-referrer")
        super().end_headers()

    def log_message(self, *_: Any) -> None:
        """Print nothing for each request."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until Ctrl-C; return the exit code."""
    parser = argparse.ArgumentParser(description="Show asv's pages on this machine.")
    parser.add_argument("folder", nargs="?", type=Path, default=Path("results/asv-html"))
    parser.add_argument("--port", type=int, default=0, help="port of loopback; 0: any free one")
    options = parser.parse_args(arguments)
    if not (options.folder / "index.html").is_file():
        parser.error(f"There are no pages in {options.folder}. Run: nox -s history")
    token = secrets.token_urlsafe(16)
    handler = partial(Pages, token=token, directory=str(options.folder))
    with ThreadingHTTPServer(("127.0.0.1", options.port), handler) as server:
        address = f"http://127.0.0.1:{server.server_port}/{token}/"
        sys.stdout.write(f"The pages are at {address}; Ctrl-C ends this.\n")
        sys.stdout.flush()
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
