"""Runs the command `lab` as a module: ``python -m lab.cli``."""

import sys

from lab.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
