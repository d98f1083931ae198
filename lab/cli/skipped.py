"""Words which configurations were skipped: a line for each system, then each reason once."""

from __future__ import annotations

import textwrap
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from lab.core.printable import one_line
from lab.planning.plan import Plan
from lab.report.number_format import plural

# The beginnings of the lines of a reason, and of the configurations that have it.
REASON, WHERE = "- ", "    "
EVERY = "all of these systems"


class Skipped(NamedTuple):
    """One skipped configuration; `fault` is empty without a fault."""

    label: str
    fault: str
    reason: str

    @property
    def system(self) -> str:
        """The label without the default profile."""
        return one_line(self.label.removesuffix("@default"))


def skips_of(plan: Plan) -> list[Skipped]:
    """Return the skipped configurations of a plan."""
    skips = [(skip.spec.label, skip.spec.fault, skip.reason) for skip in plan.skips]
    return [Skipped(label, fault.text if fault else "", why) for label, fault, why in skips]


def skip_lines(skipped: Sequence[Skipped], width: int) -> list[str]:
    """Return a line for each system with its count, and each reason once with what it applies to.

    Args:
        skipped: The skipped configurations.
        width: The letters of a line; a longer one is wrapped between words.
    """
    if not skipped:
        return []
    # Sorted, because the order of a plan is random.
    skipped = sorted(skipped)
    counts = Counter(skip.system for skip in skipped)
    letters = max(map(len, counts))
    lines = [
        f"Skipped {system.ljust(letters)} {plural(count, 'configuration')}"
        for system, count in counts.items()
    ]
    of_reason: dict[str, list[Skipped]] = defaultdict(list)
    for skip in skipped:
        of_reason[one_line(skip.reason)].append(skip)
    lines.append("Reasons:")
    for reason, skips in sorted(of_reason.items(), key=lambda item: -len(item[1])):
        lines += _wrapped(reason, REASON, width)
        # The lines above name the only system already.
        is_clear = len(counts) == 1 and not any(skip.fault for skip in skips)
        for where in () if is_clear else _places(skips, counts):
            lines += _wrapped(where, WHERE, width)
    return lines


def _places(skips: Sequence[Skipped], counts: Mapping[str, int]) -> Iterator[str]:
    """Yield the systems of a reason, once for all faults that have the same systems."""
    systems_of: dict[str, dict[str, None]] = defaultdict(dict)
    for skip in skips:
        systems_of[one_line(skip.fault)][skip.system] = None
    faults_of: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for fault, named in systems_of.items():
        faults_of[tuple(named)].append(fault)
    for systems, faults in faults_of.items():
        is_every = len(systems) == len(counts) > 1
        names = EVERY if is_every else ", ".join(systems)
        yield f"{', '.join(faults)}: {names}" if any(faults) else names


def _wrapped(text: str, mark: str, width: int) -> list[str]:
    indent = " " * (len(mark) + 2 * (mark == WHERE))
    return textwrap.wrap(
        text,
        width,
        initial_indent=mark,
        subsequent_indent=indent,
        break_on_hyphens=False,
        break_long_words=False,
    )
