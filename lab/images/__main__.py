"""Has every image ready, and says which they are: ``nox -s images``."""

from __future__ import annotations

import sys
import time

from rich.console import Console
from rich.table import Table

from lab.errors import LabError
from lab.images import build
from lab.images.recipe import SERVERS


def main() -> int:
    """Build, telling each step as it begins; return the exit code."""
    told, begun = Console(stderr=True, highlight=False, soft_wrap=True), time.monotonic()
    try:
        images = build(
            lambda step: told.print(f"{time.monotonic() - begun:6.1f} s  {step}", markup=False)
        )
    except LabError as error:
        told.print(f"lab: {error}", markup=False)
        return error.exit_code
    table = Table("image of", "name", "origin", "id")
    for part in ("node", *SERVERS):
        image = getattr(images, part)
        table.add_row(part, image.name, image.origin, image.id.removeprefix("sha256:")[:12])
    Console().print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
