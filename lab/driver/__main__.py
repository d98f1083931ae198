"""Drives one trial: ``python -m lab.driver FOLDER``."""

import sys
from pathlib import Path

from lab.driver.driver import main

if __name__ == "__main__":
    main(Path(sys.argv[1]))
