"""Tests the lines of a campaign on the terminal: what was stopped before, and the plan."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from lab import console
from lab.cli.progress import ProgressWatch, show_plan
from lab.core.faults import FaultKind, of_kind
from lab.core.model import Burst, LoadLevel, Paced, Topology
from lab.planning.plan import Plan
from tests.factories.campaigns import BLANK
from tests.factories.trials import spec_of

ENDED = replace(BLANK, status="ok", flag="ok")


def test_a_run_that_continues_does_not_repeat_its_old_interruption(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The row of the stopped attempt is written by the command that repeats it."""
    watch = ProgressWatch()
    reason = "The lab was stopped during this trial; `lab bench --resume` runs it again."
    watch.row(replace(BLANK, label="rq@x", status="interrupted", reason=reason))
    watch.begin([spec_of("rq")])
    shown = capsys.readouterr().err
    assert "The lab was stopped" not in shown
    assert "Stopped before and repeated now: 1 trial." in shown
    watch.begin([])
    assert "Stopped before" not in capsys.readouterr().err


def test_a_plan_says_where_tasks_may_stay_unknown(capsys: pytest.CaptureFixture[str]) -> None:
    """The drain is too short for the redelivery of some systems, which is known beforehand."""

    def shown(*labels: str, kind: FaultKind = FaultKind.WORKER_KILL) -> str:
        specs = [spec_of(label, "io", Paced(9, 9.0), fault=of_kind(kind)) for label in labels]
        show_plan(Plan(tuple(specs), ()))
        return " ".join(capsys.readouterr().out.split())

    text = shown("celery", "raw-amqp", "thread-pool")
    assert "counted as unknown, and not as lost" in text
    assert text.count("celery[prefork] (within 3,700 s), raw-amqp") == 1
    assert "(without a limit)." in text
    assert "unknown" not in shown("thread-pool")
    assert "unknown" not in shown("celery", kind=FaultKind.NONE)


def lefts(watch: ProgressWatch, capsys: pytest.CaptureFixture[str]) -> list[float]:
    """Run two of three trials, which take 10 s each; return the seconds left after each."""
    trials = [spec_of("thread-pool", arrival=Burst(10), block=block) for block in range(3)]
    watch.begin(trials)
    capsys.readouterr()
    for spec in trials[:2]:
        watch.trial(spec)
        watch.row(replace(ENDED, label=spec.label, trial_id=spec.id, trial_ns=10**10))
    return [float(left) for left in re.findall(r"([0-9.]+) s left", capsys.readouterr().err)]


def test_the_time_left_follows_the_trials_and_the_load(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The estimate of a trial is below one second, and these take ten."""
    after_one, after_two = lefts(ProgressWatch(), capsys)
    assert after_one > 3
    assert after_two > 2
    assert lefts(ProgressWatch(slowdown=4.0), capsys)[0] > after_one


def test_the_time_left_has_the_trials_that_are_planned_from_results(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The bursts of a load sweep take a minute, and the levels after them hours."""
    watch = ProgressWatch(later_s=40.0)
    assert lefts(watch, capsys)[0] == lefts(ProgressWatch(), capsys)[0] + 40
    level = spec_of("thread-pool", arrival=LoadLevel(10, 10.0))
    watch.begin([level, replace(level, block=1)])
    watch.trial(level)
    watch.row(replace(ENDED, label=level.label, trial_id=level.id, trial_ns=10**9))
    assert float(re.findall(r"([0-9.]+) s left", capsys.readouterr().err)[-1]) < 30


@pytest.mark.parametrize("width", [80, 120, 200])
def test_a_trial_of_a_plan_is_one_line(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """At 80 columns a row was broken into three lines, and its id into four."""
    monkeypatch.setattr(console, "data_console", console.Terminal(width=width))
    labels = ("celery[prefork+rabbitmq+quorum]@safe", "rq", "thread-pool")
    specs = [
        spec_of(label, "io", Paced(9 * n, 9.0 * n), Topology(1, n, n), block=n)
        for n, label in enumerate(labels, 1)
    ]
    show_plan(Plan(tuple(specs), ()))
    lines = [line for line in capsys.readouterr().out.splitlines() if line[:1] in {"┃", "│"}]
    assert max(map(len, lines)) <= width
    assert [line.count(" paced ") + line.count("│paced ") for line in lines] == [0, 1, 1, 1]
    assert ("trial" in lines[0]) == (width > 80)
