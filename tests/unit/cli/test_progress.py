"""Tests the lines of a campaign on the terminal: what was stopped before, and the plan."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lab.cli.progress import ProgressWatch, show_plan
from lab.core.faults import FaultKind, of_kind
from lab.core.model import Paced
from lab.planning.plan import Plan
from tests.factories.campaigns import BLANK
from tests.factories.trials import spec_of


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
