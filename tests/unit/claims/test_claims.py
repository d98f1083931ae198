"""Claims are judged by the ledger: each judge by made-up records, each verdict by answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

from lab.claims import checks, experiments, render
from lab.claims.checks import Finding, Shown
from lab.claims.claim import Claim, Says
from lab.claims.experiments import QUESTIONS, plan
from lab.claims.published_claims import COLUMNS, CONFIG, NO, SEED, YES
from lab.claims.result import Answer, Verdict, judge
from lab.planning import registry
from lab.results.schema.metric import ClaimRow
from tests.factories.campaigns import BLANK

MS = 1_000_000
DRIVER = 100
INSTANTS = ["t1_ns", "t2_ns", "t3_ns", "t4_ns", "t5_ns"]
AT_ONCE = [(0, 10)] * 4
IN_TURNS = [(0, 10), (10, 20), (20, 30), (30, 40)]


def shown(spans_ms: Sequence[tuple[float, float]], **facts: Any) -> Shown:
    """Make a trial of one execution for each span from start to end.

    Facts that are columns of tasks, or the submitter's, are theirs; the others are the row's.
    """
    n = len(spans_ms)
    columns = {"task_id": range(n), "t2_ns": 1, "worker": "7:1", "outcome": "ok", "node": 0}
    columns |= {name: facts.pop(name) for name in list(facts) if name in [*columns, *INSTANTS]}
    starts, ends = zip(*spans_ms, strict=True)
    given = {
        "t1_ns": 0,
        "t3_ns": [round(t * MS) for t in starts],
        "t4_ns": [round(t * MS) for t in ends],
    }
    tasks = pd.DataFrame({**given, "t5_ns": None, **columns}, index=range(n))
    occurrences = facts.pop("occurrences", pd.DataFrame())
    row = {"workers": 4, "n_planned": n, "n_done": n, "flag": "ok", "reason": "", **facts}
    seen = row.pop("seen", None)
    python = "CPython 3.11 with the GIL"
    made = replace(BLANK, **row)
    return Shown(
        made, tasks.astype(dict.fromkeys(INSTANTS, "Int64")), occurrences, DRIVER, seen, python
    )


@pytest.mark.parametrize("ask", [checks.overlap, checks.all_workers, checks.io_bound])
def test_waiting_at_once_or_in_turns(ask: Callable[[Sequence[Shown]], Finding]) -> None:
    """Spans that overlap are concurrent, use all slots, and are fit for waiting; turns are not."""
    assert ask([shown(AT_ONCE)]).holds is True
    assert ask([shown(IN_TURNS)]).holds is False


def test_a_busy_machine_can_speak_for_waiting_but_not_against_it() -> None:
    """What others use of the machine only ever makes tasks wait less at once."""
    assert checks.io_bound([shown(AT_ONCE, flag="invalid")]).holds is True
    assert checks.io_bound([shown(IN_TURNS, flag="invalid")]).holds is None


def pairs(ratio: float, noise: float = 0.01, n_blocks: int = 5, **row: Any) -> list[Shown]:
    """Make blocks of a trial with one worker and one with two, `ratio` times as fast."""
    return [
        shown([(0, took)], block=block, workers=workers, **row)
        for block in range(n_blocks)
        for workers, took in ((1, 100.0), (2, 100.0 / ratio * (1 + noise) ** (block - 2)))
    ]


@pytest.mark.parametrize(("ratio", "holds"), [(1.9, True), (0.98, False), (1.25, None)])
def test_a_second_core_gains_or_not(ratio: float, holds: bool | None) -> None:
    """The whole interval decides, and the interpreter is named with its build."""
    found = checks.gain(pairs(ratio))
    assert found.holds is holds
    assert f"{ratio:.2f} (" in found.why
    assert "CPython 3.11 with the GIL" in found.why


def test_disturbed_pairs_tell_nothing_of_a_gain() -> None:
    """Trials that are invalid are left out, and fewer than five pairs have no interval."""
    busy = [replace(one, row=replace(one.row, flag="invalid")) for one in pairs(1.9)[:1]]
    found = checks.gain([*busy, *pairs(1.9)[1:]])
    assert found.holds is None
    assert "4 of 5 pairs" in found.why


def test_pairs_are_tried_until_there_are_five_and_no_more_than_was_said_before() -> None:
    """Only disturbance counts, never the answer; what is disturbed may be run again twice."""
    asked = [("parallel", "process-pool"), ("concurrent", "process-pool")]
    computing = [spec for spec in plan(asked, 1).trials if spec.workload == "cpu"]
    (waiting,) = (spec for spec in plan(asked, 1).trials if spec.workload == "io")
    assert len(computing) == 2 * experiments.MOST_PAIRS
    of_it: dict[str, Any] = {"label": waiting.label, "workload": "cpu", "status": "ok"}
    rows = [one.row for one in pairs(1.25, **of_it)]  # a ratio that tells nothing either way
    assert experiments.attempts(computing[10], rows) == 0
    assert experiments.attempts(computing[10], [*rows[:-1], replace(rows[-1], flag="invalid")]) == 3
    assert experiments.attempts(computing[8], rows[:8]) == 3
    assert experiments.attempts(computing[1], [replace(rows[0], status="failed")]) == 0
    assert experiments.attempts(waiting, rows) == 1


def test_whose_memory_tasks_live_in() -> None:
    """Process and thread of the records decide."""
    threads = [f"{DRIVER}:1", f"{DRIVER}:2", f"{DRIVER}:1", f"{DRIVER}:2"]
    processes = ["7:1", "8:1", "9:1", "10:1"]
    in_driver, apart = shown(AT_ONCE, worker=threads), shown(AT_ONCE, worker=processes)
    assert checks.shared_memory([in_driver]).holds is True
    assert checks.shared_memory([apart]).holds is False
    assert checks.own_memory([in_driver]).holds is False
    assert checks.own_memory([apart]).holds is True
    assert checks.own_memory([shown(AT_ONCE, worker="7:1")]).holds is False
    assert checks.one_thread([in_driver]).holds is False
    assert checks.one_thread([shown(AT_ONCE)]).holds is True
    assert checks.several_nodes([shown(AT_ONCE, node=[0, 1, 0, 1])]).holds is True
    assert checks.several_nodes([shown(AT_ONCE)]).holds is False


def test_what_the_submitter_sees_of_changes() -> None:
    """All of them or it is not shared."""
    assert checks.seen_by_submitter([shown(AT_ONCE, seen=4)]).holds is True
    assert checks.seen_by_submitter([shown(AT_ONCE, seen=0)]).holds is False


def test_retries() -> None:
    """A task that raised must have returned later; one that only raised was not retried."""
    ids, spans = [0, 1, 0, 1], IN_TURNS
    both = shown(spans, task_id=ids, outcome=["raised", "raised", "ok", "ok"])
    one = shown(spans[:3], task_id=ids[:3], outcome=["raised", "raised", "ok"])
    assert checks.retried([both]).holds is True
    assert checks.retried([one]).holds is False
    assert checks.retried([shown(spans)]).holds is False  # nothing raised: nothing was tried


def ranked(order: Sequence[int], accepted_ms: float = 0.0) -> Shown:
    """Make a trial whose tasks, of which the last five are urgent, start in `order`."""
    starts = [order.index(task) * 10 for task in range(len(order))]
    return shown([(t, t + 10) for t in starts], t2_ns=round(accepted_ms * MS))


def test_urgent_tasks_overtake_or_wait_their_turn() -> None:
    """The share overtaken is 0 in the order of arrival; an empty queue tells nothing."""
    first_in_first_out = list(range(15))
    urgent_first = [0, 10, 11, 12, 13, 14, *range(1, 10)]
    assert checks.overtaking([ranked(first_in_first_out)]).holds is False
    best = checks.overtaking([ranked(urgent_first)])
    assert best.holds is True
    assert "100%" in best.why
    assert checks.overtaking([ranked(first_in_first_out, accepted_ms=99)]).holds is None


def test_tasks_survive_their_submitter_or_do_not() -> None:
    """Those that ended before it was killed say nothing of it."""
    assert checks.survives([shown(IN_TURNS)]).holds is True
    lost = shown(IN_TURNS, outcome=["ok", "unfinished", "unstarted", "unstarted"])
    assert checks.survives([lost]).holds is False
    assert checks.survives([shown(IN_TURNS, t2_ns=50 * MS)]).holds is None


def kept(verdicts: Sequence[str], took_s: float = 0.0, jobs: int = 1) -> pd.DataFrame:
    """Make occurrences of jobs with these verdicts, each taking `took_s` seconds."""
    rows = [(job, k, verdict) for k, verdict in enumerate(verdicts) for job in range(jobs)]
    table = pd.DataFrame(rows, columns=["job", "k", "verdict"])
    nominal = (table.k * 60_000_000_000).astype("Int64")
    ends = (nominal + round(took_s * 1e9)).astype("Int64")
    return table.assign(nominal_ns=nominal, started_ns=nominal, finished_ns=ends, error_ns=5 * MS)


def test_a_schedule_is_kept_or_not() -> None:
    """Half of the occurrences and more is a schedule."""
    good = shown([(0, 1)], occurrences=kept(["kept", "early", "missed"]))
    poor = shown([(0, 1)], occurrences=kept(["kept", "missed", "missed"]))
    assert checks.scheduled([good]).holds is True
    assert checks.scheduled([poor]).holds is False


def test_a_job_is_removed_or_runs_on() -> None:
    """One run may have been under way."""
    heeded, ignored, never = (
        shown(IN_TURNS, task_id=0, t5_ns=removed_ms * MS) for removed_ms in (30, 15, 5)
    )
    assert [checks.rescheduled([each]).holds for each in (heeded, ignored, never)] == [
        True,
        False,
        False,
    ]


@pytest.mark.parametrize(("took_s", "holds"), [(3.2, True), (6.1, False)])
def test_jobs_due_at_once_gain_or_not(took_s: float, holds: bool) -> None:
    """Two jobs of three seconds end together after three, or after six."""
    facts = {"nominal_ns": 3_000_000_000, "n_planned": 2, "cores_per_node": 2}
    table = kept(["kept"] * 5, took_s, jobs=2)
    assert checks.jobs_gain([shown([(0, 1)], occurrences=table, **facts)]).holds is holds
    disturbed = shown([(0, 1)], occurrences=table, flag="invalid", **facts)
    assert checks.jobs_gain([disturbed]).holds is None


def test_a_monitor_answers_or_not() -> None:
    """The trial failed with what it said instead."""
    assert checks.answered([shown(AT_ONCE)]).holds is True
    assert checks.answered([shown(AT_ONCE, reason="redis-server did not start")]).holds is None
    for why in ("The monitor did not answer /.", "monitor (flower) ended with code 1: no port"):
        assert checks.answered([shown(AT_ONCE, reason=why)]) == Finding(holds=False, why=why)


def answer(holds: bool | None, condition: str = "") -> Answer:
    """Make an answer with its trial."""
    return Answer("x", condition, Finding(holds, f"why {holds}"), (f"t-{holds}-{condition}",))


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
def test_a_verdict_for_every_answer(
    says: Says, answers: list[Answer], here: Says | None, sentence: str
) -> None:
    """What was found is one mark of the seed's own, and the verdict compares the two."""
    found = judge(Claim("concurrent", says, "words"), answers)
    assert (found.here, found.sentence) == (here, sentence)
    assert found.trials


def test_some_claims_take_every_way() -> None:
    """One way that is not so is enough against them, and one that is open leaves them open."""
    claim = Claim("runs", YES, "words", each=True)
    verdicts = [
        judge(claim, answers).verdict
        for answers in (
            [answer(True), answer(True, "b")],
            [answer(True), answer(False, "b")],
            [answer(True), answer(None, "b")],
        )
    ]
    assert verdicts == [Verdict.HOLDS, Verdict.FAILS, Verdict.UNMEASURED]


def test_the_seed_is_about_our_backends() -> None:
    """Every system, way and question that the claims name exists, and no claim occurs twice."""
    for name, system in SEED.items():
        assert name in registry.backends()
        names = [claim.name for claim in system.claims]
        assert names[: len(COLUMNS)] == list(COLUMNS)
        assert len(set(names)) == len(names)
        for claim in system.claims:
            assert claim.question in QUESTIONS
            for label in claim.ways:
                assert registry.select(label).name.startswith(name)


def test_trials_are_shared_between_questions() -> None:
    """One burst of waiting tasks answers all that is asked of it."""
    asked = [(q, "thread-pool") for q in ("concurrent", "io-bound", "all-workers", "parallel")]
    made = plan(asked, seed=1)
    assert [spec.workload for spec in made.trials].count("io") == 1
    assert [spec.workload for spec in made.trials].count("cpu") == 2 * experiments.MOST_PAIRS


def test_the_tables_show_both_marks_and_what_failed() -> None:
    """A cell has the seed's mark and ours; the second table leaves out what simply holds."""
    rows = [
        ClaimRow(
            "joblib",
            "concurrent",
            "w",
            "with config",
            "yes",
            "holds without configuration",
            "a",
            "t1",
        ),
        ClaimRow("joblib", "parallel", "w", "yes", "", "not measured: busy", "busy", "t1 t2 t3"),
        ClaimRow("joblib", "scheduling", "w", "no", "no", "holds", "c", ""),
    ]
    ((_, _, *cells, _),) = render.table(rows)
    assert cells == ["✓ (with config) | ✓", "✓ | ?", "✖ | ✖"]
    assert [row[1] for row in render.rest(rows)] == ["concurrent", "parallel"]
    assert render.rest(rows)[1][-1] == "t1 t2 and 1 more"
    assert render.summary(rows).startswith("3 claims: 2 hold")
