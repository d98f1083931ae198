"""Keeps a former name of `lab.plugin` for adapters that were written for version 0.1."""

import warnings

from lab.core.backend import *  # noqa: F403 (all that the old module had)

warnings.warn(
    "lab.backend is deprecated and will be removed in the next release: import from lab.plugin.",
    DeprecationWarning,
    stacklevel=2,
)
