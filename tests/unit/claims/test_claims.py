"""Tests the checks of claims with synthetic records, and the verdicts with synthetic answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

from lab.claims import checks, criteria, render
from lab.claims.checks import Observation, TrialRecords
from lab.claims.claim import Claim, Mark
from lab.claims.criteria import CRITERIA, plan
from lab.claims.first_pages import FIRST_PAGES
from lab.claims.published_claims import COLUMNS, CONFIG, NO, PUBLISHED, YES
from lab.claims.result import LabelResult, Verdict, judge_claim
from lab.planning import registry
from lab.results.schema.metric import ClaimRow
from tests.factories.campaigns import BLANK

MS = 1_000_000
DRIVER = 100
INSTANTS = ["t1_ns", "t2_ns", "t3_ns", "t4_ns", "t5_ns"]
AT_ONCE = [(0, 10)] * 4
ONE_AFTER_ANOTHER = [(0, 10), (10, 20), (20, 30), (30, 40)]


def records(spans_ms: Sequence[tuple[float, float]], **facts: Any) -> TrialRecords:
    """Return a trial with one execution per span from start to end.

    `facts` are columns of the tasks, `occurrences`, `seen`, or else columns of the trial's row.
    """
    n = len(spans_ms)
    columns = {"task_id": range(n), "t2_ns": 1, "worker": "7:1", "outcome": "ok", "node": 0}
    columns |= {name: facts.pop(name) for name in list(facts) if name in [*columns, *INSTANTS]}
    starts, ends = zip(*spans_ms, strict=True)
    instants = {
        "t1_ns": 0,
        "t3_ns": [round(t * MS) for t in starts],
        "t4_ns": [round(t * MS) for t in ends],
    }
    tasks = pd.DataFrame({**instants, "t5_ns": None, **columns}, index=range(n))
    occurrences = facts.pop("occurrences", pd.DataFrame())
    row = {"workers": 4, "n_planned": n, "n_done": n, "flag": "ok", "reason": "", **facts}
    seen = row.pop("seen", None)
    python = "CPython 3.11 with the GIL"
    return TrialRecords(
        replace(BLANK, **row),
        tasks.astype(dict.fromkeys(INSTANTS, "Int64")),
        occurrences,
        DRIVER,
        seen,
        python,
    )


@pytest.mark.parametrize("check", [checks.overlap, checks.all_workers, checks.io_bound])
def test_concurrency_checks_need_overlapping_spans(
    check: Callable[[Sequence[TrialRecords]], Observation],
) -> None:
    """Overlapping spans pass the three checks of concurrency; spans in sequence fail them."""
    assert check([records(AT_ONCE)]).holds is True
    assert check([records(ONE_AFTER_ANOTHER)]).holds is False


def test_io_bound_is_undecided_only_if_it_fails_on_a_busy_machine() -> None:
    """Other processes can only reduce the number of tasks that wait at once."""
    assert checks.io_bound([records(AT_ONCE, flag="disturbed")]).holds is True
    assert checks.io_bound([records(ONE_AFTER_ANOTHER, flag="disturbed")]).holds is None


def pairs(ratio: float, noise: float = 0.01, n_blocks: int = 5, **row: Any) -> list[TrialRecords]:
    """Return blocks with one trial of one worker and one of two, `ratio` times as fast."""
    return [
        records([(0, took)], block=block, workers=workers, **row)
        for block in range(n_blocks)
        for workers, took in ((1, 100.0), (2, 100.0 / ratio * (1 + noise) ** (block - 2)))
    ]


@pytest.mark.parametrize(("ratio", "holds"), [(1.9, True), (0.98, False), (1.25, None)])
def test_gain_is_decided_by_the_whole_interval(ratio: float, holds: bool | None) -> None:
    """The evidence contains the ratio and the build of the interpreter."""
    observation = checks.gain(pairs(ratio))
    assert observation.holds is holds
    assert f"{ratio:.2f} (" in observation.why
    assert "CPython 3.11 with the GIL" in observation.why


def test_gain_is_undecided_with_fewer_than_five_valid_pairs() -> None:
    """Pairs with an invalid trial are left out, and fewer than five pairs have no interval."""
    first, *valid = pairs(1.9)
    observation = checks.gain([replace(first, row=replace(first.row, flag="disturbed")), *valid])
    assert observation.holds is None
    assert "4 of 5 pairs" in observation.why


def test_pairs_are_run_until_five_are_valid_within_a_fixed_limit() -> None:
    """Only the flag counts, never the value; a disturbed trial may be repeated twice."""
    tests = [("parallel", "process-pool"), ("concurrent", "process-pool")]
    computing = [spec for spec in plan(tests, 1).trials if spec.workload == "cpu"]
    (waiting,) = (spec for spec in plan(tests, 1).trials if spec.workload == "io")
    assert len(computing) == 2 * criteria.MOST_PAIRS
    facts: dict[str, Any] = {"label": waiting.label, "workload": "cpu", "status": "ok"}
    rows = [trial.row for trial in pairs(1.25, **facts)]  # a ratio that decides nothing
    assert criteria.attempts(computing[10], rows) == 0
    last = replace(rows[-1], flag="disturbed")
    assert criteria.attempts(computing[10], [*rows[:-1], last]) == 3
    assert criteria.attempts(computing[8], rows[:8]) == 3
    assert criteria.attempts(computing[1], [replace(rows[0], status="failed")]) == 0
    assert criteria.attempts(waiting, rows) == 1


def test_memory_checks_compare_process_and_thread_ids() -> None:
    """Tasks in the driver share its memory; tasks in one process per slot do not."""
    threads = [f"{DRIVER}:1", f"{DRIVER}:2", f"{DRIVER}:1", f"{DRIVER}:2"]
    processes = ["7:1", "8:1", "9:1", "10:1"]
    in_driver, apart = records(AT_ONCE, worker=threads), records(AT_ONCE, worker=processes)
    assert checks.shared_memory([in_driver]).holds is True
    assert checks.shared_memory([apart]).holds is False
    assert checks.separate_memory([in_driver]).holds is False
    assert checks.separate_memory([apart]).holds is True
    assert checks.separate_memory([records(AT_ONCE, worker="7:1")]).holds is False
    assert checks.one_thread([in_driver]).holds is False
    assert checks.one_thread([records(AT_ONCE)]).holds is True
    assert checks.several_nodes([records(AT_ONCE, node=[0, 1, 0, 1])]).holds is True
    assert checks.several_nodes([records(AT_ONCE)]).holds is False


def test_shared_data_needs_every_change_to_be_seen() -> None:
    """The submitter must see the changes of all tasks."""
    assert checks.seen_by_submitter([records(AT_ONCE, seen=4)]).holds is True
    assert checks.seen_by_submitter([records(AT_ONCE, seen=0)]).holds is False


def test_retry_needs_every_task_that_raised_to_return() -> None:
    """A task that raised and did not return later was not retried."""
    ids, spans = [0, 1, 0, 1], ONE_AFTER_ANOTHER
    both = records(spans, task_id=ids, outcome=["raised", "raised", "ok", "ok"])
    one = records(spans[:3], task_id=ids[:3], outcome=["raised", "raised", "ok"])
    assert checks.retried([both]).holds is True
    assert checks.retried([one]).holds is False
    assert checks.retried([records(spans)]).holds is False  # without an error nothing is tested


def ranked(order: Sequence[int], accepted_ms: float = 0.0) -> TrialRecords:
    """Return a trial whose tasks start in `order`; the last five ids are urgent."""
    starts = [order.index(task) * 10 for task in range(len(order))]
    return records([(t, t + 10) for t in starts], t2_ns=round(accepted_ms * MS))


def test_priority_needs_urgent_tasks_to_overtake_waiting_ones() -> None:
    """The share of overtaken tasks is 0 in FIFO order; with an empty queue it is unknown."""
    first_in_first_out = list(range(15))
    urgent_first = [0, 10, 11, 12, 13, 14, *range(1, 10)]
    assert checks.overtaking([ranked(first_in_first_out)]).holds is False
    best = checks.overtaking([ranked(urgent_first)])
    assert best.holds is True
    assert "100%" in best.why
    assert checks.overtaking([ranked(first_in_first_out, accepted_ms=99)]).holds is None


def test_background_needs_tasks_that_end_after_the_submitter() -> None:
    """Tasks that ended before the kill decide nothing."""
    assert checks.survives([records(ONE_AFTER_ANOTHER)]).holds is True
    lost = records(ONE_AFTER_ANOTHER, outcome=["ok", "unfinished", "unstarted", "unstarted"])
    assert checks.survives([lost]).holds is False
    assert checks.survives([records(ONE_AFTER_ANOTHER, t2_ns=50 * MS)]).holds is None


def occurrences_of(verdicts: Sequence[str], took_s: float = 0.0, jobs: int = 1) -> pd.DataFrame:
    """Return occurrences of jobs with these verdicts, each of which takes `took_s` seconds."""
    rows = [(job, k, verdict) for k, verdict in enumerate(verdicts) for job in range(jobs)]
    table = pd.DataFrame(rows, columns=["job", "k", "outcome"])
    nominal = (table.k * 60_000_000_000).astype("Int64")
    ends = (nominal + round(took_s * 1e9)).astype("Int64")
    return table.assign(nominal_ns=nominal, started_ns=nominal, finished_ns=ends, error_ns=5 * MS)


def test_scheduling_needs_more_than_half_of_the_occurrences() -> None:
    """Early firings count as kept."""
    good = records([(0, 1)], occurrences=occurrences_of(["fired", "early", "missed"]))
    poor = records([(0, 1)], occurrences=occurrences_of(["fired", "missed", "missed"]))
    assert checks.scheduled([good]).holds is True
    assert checks.scheduled([poor]).holds is False


def test_dynamic_schedule_needs_a_job_to_stop_after_its_removal() -> None:
    """One firing after the removal is allowed, because it may have been queued already."""
    stopped, continued, never_ran = (
        records(ONE_AFTER_ANOTHER, task_id=0, t5_ns=removed_ms * MS) for removed_ms in (30, 15, 5)
    )
    trials = (stopped, continued, never_ran)
    assert [checks.rescheduled([trial]).holds for trial in trials] == [
        True,
        False,
        False,
    ]


@pytest.mark.parametrize(("took_s", "holds"), [(3.2, True), (6.1, False)])
def test_jobs_gain_needs_jobs_that_run_in_parallel(took_s: float, holds: bool) -> None:
    """Two parallel jobs of three seconds end after three seconds, sequential jobs after six."""
    facts = {"nominal_ns": 3_000_000_000, "n_planned": 2, "cores_per_node": 2}
    table = occurrences_of(["fired"] * 5, took_s, jobs=2)
    assert checks.jobs_gain([records([(0, 1)], occurrences=table, **facts)]).holds is holds
    disturbed = records([(0, 1)], occurrences=table, flag="disturbed", **facts)
    assert checks.jobs_gain([disturbed]).holds is None


def test_monitoring_fails_only_by_an_error_of_the_monitor() -> None:
    """The error of another server decides nothing."""
    assert checks.answered([records(AT_ONCE)]).holds is True
    assert checks.answered([records(AT_ONCE, reason="redis-server did not start")]).holds is None
    for why in ("The monitor did not answer /.", "monitor (flower) ended with code 1: no port"):
        assert checks.answered([records(AT_ONCE, reason=why)]) == Observation(holds=False, why=why)


def answer(holds: bool | None, condition: str = "") -> LabelResult:
    """Return an answer with a trial id."""
    observation = Observation(holds, f"why {holds}")
    return LabelResult("x", condition, observation, (f"t-{holds}-{condition}",))


@pytest.mark.parametrize(
    ("says", "answers", "here", "sentence"),
    [
        (YES, [answer(True)], YES, "holds"),
        (YES, [answer(False), answer(True, "b[v]")], CONFIG, "holds with: b[v]"),
        (YES, [answer(False), answer(False, "b[v]")], NO, "does not hold"),
        (YES, [answer(None)], None, "not measured: why None"),
        (YES, [answer(False), answer(None, "b[v]")], None, "not measured: why None"),
        (CONFIG, [answer(False), answer(True, "b[v]")], CONFIG, "holds with: b[v]"),
        (CONFIG, [answer(True), answer(True, "b[v]")], YES, "holds without configuration"),
        (CONFIG, [answer(False)], NO, "does not hold"),
        (NO, [answer(False)], NO, "holds"),
        (NO, [answer(True)], YES, "does not hold"),
        (NO, [answer(None)], None, "not measured: why None"),
        (NO, [answer(True, "effort")], CONFIG, "does not hold"),
    ],
)
def test_judge_compares_the_measured_mark_with_the_published_one(
    says: Mark, answers: list[LabelResult], here: Mark | None, sentence: str
) -> None:
    """The verdict lists its trials."""
    judgement = judge_claim(Claim("concurrent", says, "words"), answers)
    assert (judgement.here, judgement.sentence) == (here, sentence)
    assert judgement.trials


def test_claims_about_each_label_need_every_label() -> None:
    """One failing label is enough for `does not hold`, one undecided label for `not measured`."""
    claim = Claim("runs", YES, "words", each=True)
    verdicts = [
        judge_claim(claim, answers).verdict
        for answers in (
            [answer(True), answer(True, "b")],
            [answer(True), answer(False, "b")],
            [answer(True), answer(None, "b")],
        )
    ]
    assert verdicts == [Verdict.HOLDS, Verdict.FAILS, Verdict.UNMEASURED]


def test_published_claims_name_existing_backends_and_criteria() -> None:
    """Every backend, label and criterion exists, and no claim occurs twice."""
    for name, system in PUBLISHED.items():
        family = registry.backend(name).family
        names = [claim.name for claim in system.claims]
        assert name in FIRST_PAGES or names[: len(COLUMNS)] == list(COLUMNS)
        assert len(set(names)) == len(names)
        for claim in system.claims:
            assert claim.criterion in CRITERIA
            assert {registry.select(label).backend.family for label in claim.ways} <= {family}


def test_plan_shares_trials_between_criteria() -> None:
    """One burst of waiting tasks is used by three criteria."""
    tests = [(q, "thread-pool") for q in ("concurrent", "io-bound", "all-workers", "parallel")]
    workloads = [spec.workload for spec in plan(tests, seed=1).trials]
    assert workloads.count("io") == 1
    assert workloads.count("cpu") == 2 * criteria.MOST_PAIRS


def test_render_shows_both_marks_and_the_exceptions() -> None:
    """A cell has the published and the measured mark; the second table omits plain `holds`."""
    rows = [
        ClaimRow(
            "joblib", "concurrent", "w", "with config", "yes", Verdict.HOLDS_WITHOUT, "a", "t1"
        ),
        ClaimRow("joblib", "parallel", "w", "yes", "", "not measured: busy", "busy", "t1 t2 t3"),
        ClaimRow("joblib", "scheduling", "w", "no", "no", "holds", "c", ""),
    ]
    ((_, _, *cells, _),) = render.table(rows)
    assert cells == ["✓ (with config) | ✓", "✓ | ?", "✖ | ✖"]
    assert [row[1] for row in render.rest(rows)] == ["concurrent", "parallel"]
    assert render.rest(rows)[1][-1] == "t1 t2 and 1 more"
    assert render.summary(rows).startswith("3 claims: 2 hold")
