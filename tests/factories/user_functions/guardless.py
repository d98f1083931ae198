"""A script as many are: no main guard, arguments read at import."""

import argparse

parser = argparse.ArgumentParser()
parser.add_argument("--input", required=True)
options = parser.parse_args([])


def work() -> int:
    """Return 1."""
    return 1
