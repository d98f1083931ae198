"""Extends asv with a plugin that makes its pages work offline, with the assets in `vendor/`.

asv's page loads ten scripts and style sheets from three hosts, and is empty if they are
unreachable. All are MIT-licensed; the notices are in `vendor/licences`. Flot is the unminified
release of its authors, stupidtable the oldest packaged version.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

from asv.publishing import OutputPublisher

VENDOR = Path(__file__).with_name("vendor")
FOREIGN = re.compile(r'(?P<how>src|href)="https?://[^"]*/(?P<file>[^"/]+\.(?:js|css))"')
# Attributes for assets of other hosts: they do not apply to local files.
CHECKS = re.compile(r'\s(?:integrity|crossorigin|referrerpolicy)="[^"]*"')


class Offline(OutputPublisher):  # type: ignore[misc]
    """Copies the assets into asv's output folder, and rewrites their addresses in the page."""

    name = "offline"
    button_label = "Offline"
    description = "Local copies of the assets"
    # asv calls the publishers in this order, and its own have the numbers 0 to 3.
    order = 99

    @classmethod
    def publish(cls, conf: Any, *_: Any) -> None:
        """Write ``vendor/`` and change the page that asv has written."""
        page = Path(conf.html_dir) / "index.html"
        page.write_text(localised(page.read_text(encoding="utf-8")), encoding="utf-8")
        shutil.copytree(VENDOR, page.parent / "vendor", dirs_exist_ok=True)


def localised(page: str) -> str:
    """Return the page with the address of every asset changed to a file in `vendor/`.

    Raises:
        FileNotFoundError: The page loads an asset that is not in `vendor/`; add it there.
    """

    def local(match: re.Match[str]) -> str:
        file = match["file"]
        if not (VENDOR / file).is_file():
            # After an update of asv, an error is better than a page that needs a network.
            raise FileNotFoundError(f"asv's page loads {file}, which is not in {VENDOR.name}/.")
        return f'{match["how"]}="vendor/{file}"'

    return CHECKS.sub("", FOREIGN.sub(local, page))
