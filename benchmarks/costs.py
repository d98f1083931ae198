"""Creates the classes of asv's benchmarks, which read their values from a campaign."""

from __future__ import annotations

import os
from typing import Any

from lab.history import asv_run
from lab.history.samples import Samples
from lab.history.suite import AXES, TIMEOUT_S, benchmarks
from lab.planning import registry

# One backend of each family that needs no server: fast, and available on every machine.
LABELS = tuple(
    registry.select(name).label
    for name in os.environ.get("LAB_BACKENDS", "asyncio,process-pool,thread-pool").split(",")
)
CORES = tuple(int(n) for n in os.environ.get("LAB_CORES", "1").split(","))
# A sample is a trial; with fewer than seven, asv's test detects no difference.
BLOCKS = int(os.environ.get("LAB_BLOCKS", "7"))
PRESET = os.environ.get("LAB_PRESET", "quick")
# asv's default is one minute; a campaign of the larger preset takes hours.
CAMPAIGN_TIMEOUT_S = 6 * 3600


def measure(module: str) -> Samples:
    """Run the module's campaign, once for all benchmarks; return nothing for another preset."""
    return asv_run.run_campaign(module, LABELS, CORES, BLOCKS) if module == PRESET else {}


def classes(module: str) -> dict[str, type]:
    """Return a class for each cell of the preset, with a method for each of its metrics."""
    attributes: dict[str, dict[str, Any]] = {}
    for benchmark in benchmarks():
        if benchmark.module == module:
            track = _reader(benchmark.name)
            track.unit, track.pretty_name = benchmark.unit, benchmark.title
            shared = {"params": (LABELS, CORES, (1,)), "param_names": AXES, "setup": _setup}
            shared |= {"version": benchmark.version, "timeout": TIMEOUT_S}
            attributes.setdefault(benchmark.group, shared)[f"track_{benchmark.metric}"] = track
    return {name: type(name, (), members) for name, members in attributes.items()}


def _setup(_self: object, measured: Samples, *_: object) -> None:
    """Skip the benchmarks of another preset, which asv shows as not run."""
    if not measured:
        raise NotImplementedError


def _reader(name: str) -> Any:
    def track(_self: object, measured: Samples, *axes: Any) -> Any:
        values = measured.get(name, {}).get(axes, [])
        if values is None:
            raise RuntimeError("Every trial of this cell failed.")
        # The format of asv's timing benchmarks, so that its test receives the samples.
        return {"samples": values, "number": 1} if values else float("nan")

    return track
