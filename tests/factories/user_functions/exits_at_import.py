"""Leaves when its configuration is missing."""

import os
import sys

if "SHOP_CONFIG" not in os.environ:
    sys.exit("SHOP_CONFIG is not set")


def work() -> int:
    """Return 1."""
    return 1
