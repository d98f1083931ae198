"""Reads facts of the running interpreter and its packages: ``python -m lab.host.interpreter``.

Standard library only, so that the interpreter of any environment can run it.
"""

from __future__ import annotations

import gc
import hashlib
import json
import os
import platform
import re
import sys
import sysconfig
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions
from typing import TypeAlias

from lab.core.environment import has_gil

Known: TypeAlias = tuple[str, object, bool]
BUILD_ARGUMENT = re.compile(r"--(?:en|dis)able-[\w-]+(?:=\w+)?|--with(?:out)?-[\w-]+(?:=\w+)?")
OPTIMISATION = re.compile(r"-O\w|-flto(?:=\w+)?|-m(?:arch|tune)=[\w-]+|-fno-omit-frame-pointer")
# Without PYTHONPATH and PYTHONHOME: their values are paths.
PYTHON_VARIABLES = re.compile(
    "PYTHON(?:ASYNCIODEBUG|DEVMODE|DONTWRITEBYTECODE|FAULTHANDLER|HASHSEED|MALLOC|NODEBUGRANGES"
    "|NOUSERSITE|OPTIMIZE|UNBUFFERED|UTF8|_CPU_COUNT|_GIL|_JIT)"
)
# Files of an installation that differ although the package is the same: addresses and scripts.
OF_INSTALLATION = re.compile(
    r"\.\./|.*\.pyc,|.*\.dist-info/(?:direct_url\.json|uv_cache\.json|INSTALLER|REQUESTED|RECORD),"
)


def facts() -> Iterator[Known]:
    """Yield key, value, and whether the fact identifies the interpreter."""
    arguments = BUILD_ARGUMENT.findall(str(sysconfig.get_config_var("CONFIG_ARGS")))
    flags = OPTIMISATION.findall(str(sysconfig.get_config_var("PY_CFLAGS")))
    jit = getattr(sys, "_jit", None)  # Python 3.14
    yield "python.implementation", platform.python_implementation(), True
    yield "python.version", platform.python_version(), True
    yield "python.build", " ".join(platform.python_build()), False
    yield "python.compiler", platform.python_compiler(), False
    yield "python.configure", " ".join(arguments), False
    yield "python.optimisation", " ".join(flags), False
    yield "python.gil", int(has_gil()), True
    yield "python.jit", int(jit is not None and jit.is_enabled()), True
    yield "python.gc_thresholds", ",".join(map(str, gc.get_threshold())), False
    yield "python.libc", " ".join(platform.libc_ver()), False
    for name in sorted(filter(PYTHON_VARIABLES.fullmatch, os.environ)):
        value = os.environ[name]
        # A user may set these to any text, but a valid value is a word or a number.
        is_plain = re.fullmatch(r"[\w.]{,40}", value)
        yield f"python.variable.{name}", value if is_plain else None, False


def packages() -> Iterator[Known]:
    """Yield the version of each installed package, and a hash of its files."""
    for package in sorted(distributions(), key=_name):
        yield f"package.{_name(package)}", package.version, True
        yield f"package.{_name(package)}.sha256", _digest(package), True


def _name(package: Distribution) -> str:
    return re.sub(r"[-_.]+", "-", package.metadata["Name"] or "").lower()


def _digest(package: Distribution) -> str | None:
    """Return 16 hex digits over the hashes of a package's files; None without a list of them."""
    lines = (package.read_text("RECORD") or "").splitlines()
    same = sorted(line for line in lines if not OF_INSTALLATION.match(line))
    return hashlib.sha256("\n".join(same).encode()).hexdigest()[:16] if same else None


if __name__ == "__main__":
    sys.stdout.write(json.dumps([*facts(), *packages()]))
