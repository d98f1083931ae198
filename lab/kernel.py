"""Keeps a former name of `lab.plugin` for adapters that were written for version 0.1."""

import warnings

from lab.worker.execution import *  # noqa: F403 (all that the old module had)

joined = noop_join  # noqa: F405

warnings.warn(
    "lab.kernel is deprecated and will be removed in the next release: import from lab.plugin.",
    DeprecationWarning,
    stacklevel=2,
)
