"""Words the reasons that earlier versions recorded as this version words them.

Tables keep what was recorded; pages and the texts of a package are for readers.
"""

from __future__ import annotations

import re

# The reason of `lab.campaign.load_sweep` for a rate above the highest of any trial.
TOO_FAST = re.compile(r"tasks/s is more than the (\S+) that anybody is asked for\.")


def present(reason: str) -> str:
    """Return a recorded reason in the words of this version."""
    return TOO_FAST.sub(r"tasks/s is more than the highest rate of any trial, \1.", reason)
