"""Writes a package of workloads for tests; most of them misbehave."""

from __future__ import annotations

from pathlib import Path

# Its size is how many tasks out of each hundred raise.
MIXED = """
from workloads import cpu, io, noop, payload
from workloads.noop import UNIT, DEFAULT_SIZE, calibrate, nominal_ns
SUMMARY = "One of the lab's own workloads after the other."
KINDS = ((cpu, 2_000), (io, 500), (noop, 0), (payload, 500))

def argument(size, seed):
    kind = seed % len(KINDS)
    module, own = KINDS[kind]
    return [kind, int(90 <= seed % 100 < 90 + size), module.argument(own, seed)]

def run(argument):
    kind, raises, own = argument
    if raises:
        raise RuntimeError("this task raises")
    return KINDS[kind][0].run(own)

async def run_async(argument):
    kind, raises, own = argument
    if raises:
        raise RuntimeError("this task raises")
    return await KINDS[kind][0].run_async(own)

def answer(argument):
    kind, _, own = argument
    return KINDS[kind][0].answer(own)
"""

# The same for systems that cannot send bytes.
MIXED_TEXT = MIXED.replace(", (payload, 500)", "")

RAISING = """
from workloads.noop import *
SUMMARY = "Raises."

def run(argument):
    raise RuntimeError("this task always raises")

async def run_async(argument):
    run(argument)
"""

HANGING = """
import asyncio, time
from workloads.noop import *
SUMMARY = "Hangs on every fifth task."

def run(argument):
    if argument % 5 == 0:
        time.sleep(3600)
    return argument

async def run_async(argument):
    if argument % 5 == 0:
        await asyncio.sleep(3600)
    return argument

def argument(size, seed):
    return seed
"""

LYING = """
from workloads.noop import *
SUMMARY = "Answers wrongly now and then."

def argument(size, seed):
    return seed

def run(argument):
    return argument + (argument % 10 == 3)

async def run_async(argument):
    return run(argument)
"""

DYING = """
import os
from workloads.noop import *
SUMMARY = "Kills its worker."

def argument(size, seed):
    return seed

def run(argument):
    if argument % 10 == 7:
        os.kill(os.getpid(), 9)
    return argument

async def run_async(argument):
    return run(argument)
"""

NAMES = {
    name: f"misbehaving_{name.lower()}"
    for name in ("MIXED", "MIXED_TEXT", "RAISING", "HANGING", "LYING", "DYING")
}


def write(folder: Path) -> None:
    """Write the workloads to `folder`, as an installed package with entry points."""
    metadata = folder / "misbehaving-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: misbehaving\nVersion: 1\n")
    lines = [f"{module} = {module}" for module in NAMES.values()]
    (metadata / "entry_points.txt").write_text("\n".join(["[lab.workloads]", *lines]))
    for name, module in NAMES.items():
        (folder / f"{module}.py").write_text(globals()[name])
