"""Tests what a square counts: runs of jobs, attempts, and the size of its sample."""

from __future__ import annotations

from dataclasses import replace

from lab.figures import FIGURES
from lab.report.fault_results import RESULTS
from lab.report.fault_texts import sentence
from lab.report.faults import matrix
from lab.report.lost_tasks import lost_tasks
from lab.report.page import render
from lab.results.schema import TrialRow
from lab.results.schema.metric import MetricRow
from tests.factories.campaigns import SMALL, campaign
from tests.factories.faults import LOST, OK, SKIPPED, TWICE, with_faults
from tests.factories.schedules import added


def test_a_scheduled_job_is_judged_by_its_runs() -> None:
    """It is one task that runs many times, which is no task that ran twice (METHOD M26)."""
    kinds = {"none": OK, "scheduler-kill": TWICE, "clock-step": TWICE}
    fates = {("rq", kind): fate for kind, fate in kinds.items()}
    # A scheduler takes no tasks, so what was planned with some is skipped.
    tables = with_faults(campaign(SMALL), {**fates, ("rq", "broker-kill"): SKIPPED})
    trials = tables["trial"]
    is_job = trials["fault"].isin(list(kinds))
    jobs = trials.assign(
        arrival=trials["arrival"].mask(is_job, "periodic"),
        n_sent=trials["n_sent"].mask(is_job, 1),
        n_duplicated=trials["n_duplicated"].mask(is_job, 1),
    )
    late = jobs.loc[is_job, "fault"] == "scheduler-kill"
    runs = [
        MetricRow(trial_id, 1, name, value, "", "1", 53, "of 53 occurrences due", 1)
        for trial_id, is_late in zip(jobs.loc[is_job, "trial_id"], late, strict=True)
        for name, value in (("missed", 2.0 if is_late else 0.0), ("doubled", 1.0 * is_late))
    ]
    table = matrix({**tables, "trial": jobs})  # its window did not end, so there are no numbers
    assert table
    assert {square.text for square in table.systems[0].squares} == {"failed"}
    table = matrix({**tables, "trial": jobs, "metric": added("metric", tables["metric"], runs)})
    assert table
    (system,) = table.systems
    results = {s.fault: (s.text, s.count, [*s.notes], s.survived) for s in system.squares}
    assert results == {
        "none": ("ok", "0 of 106", [], ""),
        "scheduler-kill": ("runs missed", "4 of 106", ["2 of 106 runs doubled"], "0 of 4 survived"),
        "clock-step": ("ok", "0 of 106", [], "4 of 4 survived"),
    }
    (missed,) = (s for s in system.squares if s.fault == "scheduler-kill")
    assert missed.result.symbol not in {result.symbol for result in RESULTS}
    assert missed.details == "4 of 106 runs, 1 % to 9.4 %; n = 106 runs, 4 hits, 2 trials"
    assert missed.hits[0].tasks == {
        "runs missed": "2 of 53 in the trial",
        "runs doubled": "1 of 53 in the trial",
    }
    # No task was sent, so no system kept its tasks, and no submit call was acknowledged.
    assert sentence(table) == (
        "1 of 1 scheduler missed or doubled runs: rq missed 4 of 212 and doubled 2."
    )
    assert system.acknowledged == ""


def test_the_control_is_no_harm_by_a_fault() -> None:
    """A sentence of its own names what was lost or missed without a fault."""
    tables = with_faults(campaign(SMALL), {("rq", "none"): OK, ("rq", "worker-kill"): OK})
    trials = tables["trial"]
    is_control = trials["fault"] == "none"
    lost = trials.assign(n_lost=trials["n_lost"].mask(is_control, 3))
    table = matrix({**tables, "trial": lost})
    assert table
    assert sentence(table) == (
        "Faults: none of 1 system lost a task or ran one twice. "
        "Without a fault: rq (lost, 6 of 428 tasks)."
    )


def test_a_square_has_its_sample_as_title_and_with_its_hits() -> None:
    """Zero of a few tasks and zero of many are not the same result."""
    tables = with_faults(campaign(SMALL), {("rq", "none"): OK, ("rq", "worker-kill"): OK})
    page = render(tables, dict.fromkeys(FIGURES.values()))
    sample = "0 of 428 tasks, at most 0.86 %; n = 428 tasks, 4 hits, 2 trials"
    assert f'title="{sample}"' in page
    assert f"<p>{sample}; 4 of 4 survived.</p>" in page
    assert "0 of 428 tasks, at most 0.86 %; n = 428 tasks, 2 trials" in page  # the control
    assert "Server: redis-server 6.2.14" in page


def test_a_later_attempt_at_a_trial_replaces_a_failed_one() -> None:
    """The matrix and the chart have the tasks of the later one; a sentence counts the others."""
    tables = with_faults(campaign(SMALL), {("rq", "child-kill"): LOST}, blocks=1)
    is_fault = tables["trial"]["fault"] != ""
    (row,) = tables["trial"][is_fault].to_dict("records")
    first = TrialRow(**{str(name): value for name, value in row.items()})
    later = replace(first, attempt=2, n_lost=0)
    trials = added("trial", tables["trial"], [later])
    trials.loc[is_fault[is_fault].index, "status"] = "failed"
    both = {**tables, "trial": trials, f"outcome/{later.trial_id}-2": tables["outcome"].head(0)}
    table = matrix(both)
    assert table
    (square,) = table.systems[0].squares
    assert (square.text, square.count, [*square.trials]) == ("ok", "0 of 214", [later.trial_id])
    assert table.replaced == (
        "The squares leave out 1 attempt at a trial that was repeated: of 214 tasks there, "
        "4 were harmed and 0 are unknown."
    )
    assert table.replaced in render(both, dict.fromkeys(FIGURES.values()))
    strip = lost_tasks(both)
    assert strip
    assert [dot.text for dot in strip.dots] == ["0 %"]
    alone = matrix({**tables, "trial": trials[trials["attempt"] == 1]})
    assert alone
    assert (alone.systems[0].squares[0].text, alone.replaced) == ("lost", "")
