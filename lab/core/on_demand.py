"""Makes what a worker command reads from an adapter's module, such as its app."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from lab.core.backend import setup_from_environment
from lab.core.model import BackendContext


def on_demand(module: str, **make: Callable[[BackendContext], Any]) -> Callable[[str], Any]:
    """Return a module's `__getattr__` (PEP 562), which makes an attribute from the process's setup.

    Each is made when it is first read, and once: a module is also imported by those who only list
    the backends, without a setup and without the system's package.
    """

    @cache
    def attribute(name: str) -> Any:
        if name not in make:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        return make[name](setup_from_environment())

    return attribute
