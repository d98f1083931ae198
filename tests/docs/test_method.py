"""Tests that the numbers in docs/method.md are those of the code."""

from __future__ import annotations

import math
import re
from pathlib import Path

from lab.analysis.metrics.backlog import DRAIN_LIMIT, LEFT_LIMIT
from lab.analysis.scaling_laws import AICC_GAIN, RESAMPLES, SIZES_FLOOR
from lab.analysis.statistics import EQUIVALENCE, INTERVAL_FLOOR, sample_floor
from lab.planning.presets import LOAD_SWEEPS, PRESETS
from lab.validation.checker import RATE_DISTURBED, RATE_NOISY, SUBMITTER_BUSY
from lab.validation.disturbance import THRESHOLDS

PAGE = Path(__file__).parents[2] / "docs/method.md"


def section(rule: str) -> str:
    """Return the text of a rule on one line, from its anchor to the next heading."""
    text = PAGE.read_text(encoding="utf-8")
    return text.split(f'<a id="{rule.lower()}"></a>\n')[1].partition("\n<a ")[0]


def sentences(rule: str) -> str:
    """Return the text of a rule without line breaks."""
    return " ".join(section(rule).split())


def cells(rule: str) -> list[list[str]]:
    """Return the rows of a rule's first table, without the line below its heading."""
    blocks = section(rule).split("\n\n")
    table = next(block for block in blocks if block[:1] == "|")
    rows = [line[1:-1].split("|") for line in table.splitlines()]
    return [[cell.strip() for cell in row] for row in rows[:1] + rows[2:]]


def limit(text: str) -> float:
    """Return a limit of a table as the code has it: a share, a count, or none."""
    number = re.match(r"[\d.]+", text)
    if number is None:
        return math.inf
    return float(number[0]) / (100 if text.endswith("%") else 1)


def test_percentiles_need_the_tasks_that_the_table_gives() -> None:
    """M11 is computed by `sample_floor`."""
    names, needed = cells("M11")
    assert [sample_floor(float(name.removeprefix("p"))) for name in names[1:]] == [
        int(n) for n in needed[1:]
    ]


def test_disturbance_has_the_limits_that_the_table_gives() -> None:
    """M23 has a row for each threshold, in the order of the code."""
    documented = {
        re.findall(r"`(\w+)`", what)[0]: (limit(noisy), limit(disturbed))
        for what, noisy, disturbed in cells("M23")[1:]
    }
    # A value that is disturbed above a limit is never only noisy.
    expected = {
        t.signal: (
            math.inf if t.noisy_above == t.disturbed_above else t.noisy_above,
            t.disturbed_above,
        )
        for t in THRESHOLDS
    }
    assert documented == expected


def test_the_generator_has_the_limits_that_the_table_gives() -> None:
    """M7: the achieved rate, and the share of time in submit calls."""
    rate, busy = cells("M7")[1:3]
    assert [limit(text.removeprefix("more than ").removesuffix(" off")) for text in rate[1:]] == [
        RATE_NOISY,
        RATE_DISTURBED,
    ]
    assert limit(busy[1].removeprefix("above ")) == SUBMITTER_BUSY


def test_sentences_have_the_numbers_of_the_code() -> None:
    """Numbers within sentences, where the code has a name for them."""
    standard, quick = LOAD_SWEEPS["standard"], PRESETS["quick"]
    for rule, sentence in (
        ("M8", f"at most {LEFT_LIMIT:.0%} of the rate".replace("%", " %")),
        ("M8", f"finish within {DRAIN_LIMIT:.0%} of the window".replace("%", " %")),
        ("M8", f"Windows are {standard.window_s:g} s in `standard`"),
        ("M8", f"up to {standard.longest_s:.0f} s where"),
        ("M12", f"lies in {EQUIVALENCE[0]} to {EQUIVALENCE[1]}"),
        ("M16", f"{PRESETS['standard'].warmup_per_slot} in `standard`"),
        ("M16", f"{quick.warmup_per_slot} in `quick`"),
        ("M21", f"lower than Amdahl's by more than {AICC_GAIN:.0f}"),
        ("M21", f"{RESAMPLES} resamples"),
        ("M25", f"{PRESETS['standard'].idle_s:.0f} s; in `quick` {quick.idle_s:.0f} s"),
    ):
        assert sentence in sentences(rule), sentence
    # Written as words: at least five trials, six sizes; three, ten and twenty blocks.
    assert (INTERVAL_FLOOR, SIZES_FLOOR) == (5, 6)
    assert [PRESETS[name].blocks for name in ("quick", "standard", "publish")] == [3, 10, 20]
