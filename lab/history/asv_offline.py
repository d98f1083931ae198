"""A plugin of asv: its pages open without a network, with the assets of `vendor/`.

asv's page loads ten scripts and styles from three hosts, and shows nothing where they cannot be
reached. All are MIT-licensed; their notices lie in `vendor/licences`. Flot is here as its authors
publish it, not minified, and stupidtable in the oldest version that has a package.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

from asv.publishing import OutputPublisher

VENDOR = Path(__file__).with_name("vendor")
FOREIGN = re.compile(r'(?P<how>src|href)="https?://[^"]*/(?P<file>[^"/]+\.(?:js|css))"')
# A check of the bytes from elsewhere has no meaning for a file that lies beside the page.
CHECKS = re.compile(r'\s(?:integrity|crossorigin|referrerpolicy)="[^"]*"')


class Offline(OutputPublisher):  # type: ignore[misc]
    """Puts the assets beside asv's page, and lets it look for them there."""

    name = "offline"
    button_label = "Offline"
    description = "Assets beside the page"
    order = 99

    @classmethod
    def publish(cls, conf: Any, *_: Any) -> None:
        """Write ``vendor/`` and change the page that asv has written."""
        page = Path(conf.html_dir) / "index.html"
        page.write_text(localised(page.read_text(encoding="utf-8")), encoding="utf-8")
        shutil.copytree(VENDOR, page.parent / "vendor", dirs_exist_ok=True)


def localised(page: str) -> str:
    """Return the page with every asset's address turned to `vendor/`.

    Raises:
        FileNotFoundError: asv asks for an asset that is not there; add it.
    """

    def local(found: re.Match[str]) -> str:
        file = found["file"]
        if not (VENDOR / file).is_file():
            raise FileNotFoundError(f"asv's page wants {file}, which is not in {VENDOR.name}/.")
        return f'{found["how"]}="vendor/{file}"'

    return CHECKS.sub("", FOREIGN.sub(local, page))
