"""Tests that skipped configurations are counted for each system, and each reason is shown once."""

from __future__ import annotations

import pytest

from lab.cli.skipped import Skipped, skip_lines

LACK = "Provider local cannot do the fault: it needs containers (--provider compose)."
CHILD = "The system executes tasks in the driver: there is no child process for the fault."
RAISES = "The system returns no result to the submitter, so there is no round trip."


def of_faults(*labels: str) -> list[Skipped]:
    """Return the skips of pools and of a system with servers on provider local."""
    skips = [
        Skipped(label, fault, LACK)
        for fault in ("network-cut:60s", "broker-disk-full")
        for label in labels
    ]
    pools = [label for label in labels if label.endswith("pool[default]@default")]
    skips += [Skipped(label, fault, CHILD) for fault in ("child-kill", "poison") for label in pools]
    return skips


def test_equal_reasons_are_shown_once_below_a_line_for_each_system() -> None:
    """The systems and the faults of a reason follow it."""
    labels = ("thread-pool[default]@default", "a-pool[default]@default", "celery[prefork]@safe")
    assert skip_lines(of_faults(*labels), 100) == [
        "Skipped a-pool[default]      4 configurations",
        "Skipped celery[prefork]@safe 2 configurations",
        "Skipped thread-pool[default] 4 configurations",
        "Reasons:",
        f"- {LACK}",
        "    broker-disk-full, network-cut:60s: all of these systems",
        f"- {CHILD}",
        "    child-kill, poison: a-pool[default], thread-pool[default]",
    ]


@pytest.mark.parametrize("width", [80, 120])
def test_lines_fit_into_the_terminal(width: int) -> None:
    """Names and reasons are wrapped between words, and their lines are indented."""
    labels = [f"system-{number}-pool[default]@default" for number in range(12)]
    lines = skip_lines([*of_faults(*labels, "rq[fork]@safe")], width)
    assert max(map(len, lines)) <= width
    assert len(lines) > len(labels) + 1 + 4, "long lists are wrapped"


def test_a_single_system_is_named_once() -> None:
    """The line with its count has the name."""
    assert skip_lines([Skipped("celery[prefork]@default", "", RAISES)], 80) == [
        "Skipped celery[prefork] 1 configuration",
        "Reasons:",
        f"- {RAISES}",
    ]
    assert skip_lines([], 80) == []
