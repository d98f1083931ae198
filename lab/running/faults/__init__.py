"""Lists the faults that the lab injects: one file per kind, found by its class."""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Mapping

from lab.core.faults import FaultKind
from lab.running.injection import Injection


@functools.cache
def injections() -> Mapping[FaultKind, Injection]:
    """Return the injection of each kind; each file in this folder has one, named `INJECTION`."""
    modules = (
        importlib.import_module(f"{__name__}.{i.name}") for i in pkgutil.iter_modules(__path__)
    )
    return {module.INJECTION.kind: module.INJECTION for module in modules}
