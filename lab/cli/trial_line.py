"""Words the line of a trial that ended, in the width of the terminal."""

from __future__ import annotations

from collections.abc import Mapping

from rich.markup import escape

from lab.console import broken, shortened
from lab.core.model import Flag, Status
from lab.core.printable import one_line
from lab.report.flag_reasons import OVERLOADED, in_words, is_overloaded
from lab.report.number_format import plural
from lab.results.schema import TrialRow

COLOURS: Mapping[str, str] = {
    Status.OK: "green",
    Status.SKIPPED: "dim",
    Status.FAILED: "red",
    Status.TIMEOUT: "red",
    Status.INTERRUPTED: "yellow",
    Flag.NOISY: "yellow",
    Flag.DISTURBED: "bright_black",
    Flag.INVALID: "red",
}
# Column -> its width; the label gets what remains, between its two limits.
WIDTHS = {"cell": 16, "size": 19, "number": 17, "count": 7, "left": 12}
# The label, the number and the place always remain: a reader needs them to identify a trial.
DROPPED_FIRST = ("size", "left", "cell")
LABEL, LEAST_LABEL = 34, 16


def trial_line(row: TrialRow, number: str, count: str, left: str, width: int) -> str:
    """Return the line of a trial in rich markup, and further lines if it has a reason.

    Args:
        row: The trial's row.
        number: Its most important number with the unit.
        count: Its place, such as ``12/37``.
        left: The time left.
        width: Letters of a line. Columns are dropped until it fits: the size of the cluster, then
            the time left, then the workload.
    """
    rate = "" if row.rate_hz is None else f" {row.rate_hz:g}/s"
    # Most trials have one job, and its period is what differs between them.
    schedule = (row.schedule or "").removeprefix("1 job ").removeprefix("at ")
    texts = {
        "cell": f"{row.workload} {row.fault or schedule or f'{row.arrival}{rate}'}",
        "size": f"{row.nodes}x{row.cores_per_node} cores, {plural(row.workers, 'worker')}",
        "number": number,
        "count": count,
        "left": left,
    }
    for dropped in DROPPED_FIRST:
        if _needed(texts) + LEAST_LABEL > width:
            del texts[dropped]
    label_width = max(LEAST_LABEL, min(LABEL, width - _needed(texts)))
    verdict = row.status if row.status != Status.OK else row.flag
    colour = COLOURS[verdict]
    cells = [_cell(_where(row, label_width), label_width)]
    for name, text in texts.items():
        if name == "number":
            # Before `escape`, whose backslashes take no room on the terminal.
            cell = shortened(one_line(text), WIDTHS[name])
            cells.append(f"[{colour}]{escape(cell.rjust(WIDTHS[name]))}[/{colour}]")
        else:
            cells.append(_cell(text, WIDTHS[name]))
    line = " ".join(cells).rstrip()
    # A reason is never cut, so it has a line of its own.
    whys = [f"{row.status}: {row.reason}"] if row.reason else []
    if row.status == Status.OK and row.flag_reasons:
        cause = f"; {OVERLOADED}" if is_overloaded(row) else ""
        whys.append(f"{row.flag}: {in_words(row.flag_reasons)}{cause}")
    parts = [part for why in whys for part in broken(f"    {one_line(why)}", width)]
    return "\n".join([line, *(f"[{colour}]{escape(part)}[/{colour}]" for part in parts)])


def _where(row: TrialRow, width: int) -> str:
    """Return the label with its environment, which is cut last: it is what differs between rows."""
    label = one_line(row.label.removesuffix("@default"))
    if not row.environment:
        return label
    environment = shortened(one_line(row.environment), width - LEAST_LABEL // 2 - 1)
    return f"{shortened(label, width - len(environment) - 1)} {environment}"


def _needed(names: Mapping[str, str]) -> int:
    return sum(WIDTHS[name] + 1 for name in names)


def _cell(text: str, width: int) -> str:
    return escape(shortened(one_line(text), width).ljust(width))
