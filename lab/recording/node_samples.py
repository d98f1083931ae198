"""Writes what the driver measured between itself and a node as samples, and reads it from them.

The source of such a sample is ``node:NUMBER``. Metrics:

================  =============================================================================
``ping``          delay of one message for the clock and its answer, without the time on the node
``clock_offset``  of one reading: the node's clock minus the driver's
``clock_error``   of the same reading: how far the offset may be wrong
``bandwidth``     bytes from the node in a second
================  =============================================================================
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from lab.recording.node_clock import Exchange, OffsetReading
from lab.recording.sample import Sample

PING, OFFSET, ERROR, BANDWIDTH = "ping", "clock_offset", "clock_error", "bandwidth"
SOURCE = re.compile(r"node:(\d{1,9})", re.ASCII)


def of_reading(
    node: int, exchanges: Sequence[Exchange], reading: OffsetReading
) -> tuple[Sample, ...]:
    """Return the samples of one reading of a node's clock, which took these exchanges."""
    source, at_ns = f"node:{node}", reading.driver_ns
    offset_ns, error_ns = float(reading.node_ns - at_ns), float(reading.error_ns)
    pings = (
        Sample(t_ns=e.sent_ns, source=source, metric=PING, value=float(e.delay_ns), unit="ns")
        for e in exchanges
    )
    return (
        *pings,
        Sample(t_ns=at_ns, source=source, metric=OFFSET, value=offset_ns, unit="ns"),
        Sample(t_ns=at_ns, source=source, metric=ERROR, value=error_ns, unit="ns"),
    )


def of_bandwidth(node: int, at_ns: int, bytes_per_s: float) -> Sample:
    """Return the sample of one transfer from a node."""
    source, name = f"node:{node}", BANDWIDTH
    return Sample(t_ns=at_ns, source=source, metric=name, value=bytes_per_s, unit="bytes/s")


def readings(samples: Iterable[Sample]) -> Mapping[int, Sequence[OffsetReading]]:
    """Return the readings of each node's clock that the samples contain."""
    taken: dict[int, dict[int, dict[str, int]]] = {}
    for sample in samples:
        match = SOURCE.fullmatch(sample.source)
        if match and sample.metric in (OFFSET, ERROR):
            of_instant = taken.setdefault(int(match[1]), {}).setdefault(sample.t_ns, {})
            of_instant[sample.metric] = round(sample.value)
    return {
        node: [
            OffsetReading(at_ns + values[OFFSET], at_ns, values[ERROR])
            for at_ns, values in of_node.items()
            if len(values) == 2  # noqa: PLR2004 (both, unless the file is damaged)
        ]
        for node, of_node in taken.items()
    }
