"""Declares the columns of a trial whose nodes are on other machines than its driver."""

from __future__ import annotations

from dataclasses import dataclass

from lab.core.column import LATEST_NS, column


@dataclass(frozen=True)
class MachineColumns:
    """The hosts of the nodes, and what the driver measured between itself and them."""

    node_hosts: str = column(
        "host of each node, nodes separated by |; empty: this machine", since="2.3"
    )
    clock_bound_ns: int | None = column(
        "largest error of a start or an end in the window, on another machine than the driver "
        "(M14); empty: one clock",
        "ns",
        since="2.3",
        least=0,
        most=LATEST_NS,
    )
    ping_min_ns: int | None = column(
        "shortest round trip of the messages that read the nodes' clocks; empty: one clock",
        "ns",
        since="2.3",
        most=LATEST_NS,
    )
    ping_median_ns: int | None = column(
        "median of these round trips", "ns", since="2.3", most=LATEST_NS
    )
    bandwidth_bytes_per_s: float | None = column(
        "rate of a transfer from a node to the driver after the window, the smallest of all nodes",
        "bytes/s",
        since="2.3",
        least=0,
    )
