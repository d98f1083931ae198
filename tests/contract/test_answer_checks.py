"""How the answers of a user's function are checked, and that it costs the numbers nothing."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from lab.core.model import Burst, Service
from lab.planning.compatibility import obstacle
from lab.running import preflight, trial
from lab.validation.trial_row import collect
from tests.factories.trials import CONTEXT, run, spec_of

# Of a small spec of the inline loop, as it was before a spec said how answers are checked.
ID = "7ca76e19a99dd653"
ANSWERS = "tests.factories.user_functions.answers"
TOO_DEAR = "a check takes "
UNPICKLABLE = "its answer cannot be pickled: "


@pytest.mark.parametrize(
    ("task", "is_known", "trouble"),
    [
        ("bad_repr", True, ""),
        ("surrogate", True, ""),
        ("nan", True, ""),
        ("unordered", True, ""),
        ("filled", True, ""),
        ("shared", True, ""),
        ("copied", True, TOO_DEAR),
        ("big_list[300000]", True, TOO_DEAR),
        ("big_text[300000]", True, TOO_DEAR),
        ("deep", False, f"{UNPICKLABLE}RecursionError"),
        ("cyclic", False, f"{UNPICKLABLE}ValueError"),
        ("bad_pickle", False, f"{UNPICKLABLE}RuntimeError: not bound to a session"),
        ("lock", False, f"{UNPICKLABLE}TypeError"),
        ("numpy_middle", False, "two calls gave different answers"),
        ("bytes_middle", False, "two calls gave different answers"),
        ("same_repr", False, "two calls gave different answers"),
    ],
)
def test_answers_are_compared_in_all_of_their_bytes(
    task: str, is_known: bool, trouble: str, tmp_path: Path
) -> None:
    """By what tells values apart and not by what prints; or the rehearsal says why they are not."""
    seen = preflight.rehearse(f"{ANSWERS}:{task}", tmp_path)
    assert (seen.answer is not None, seen.failure) == (is_known, "")
    assert seen.trouble.startswith(trouble)
    assert bool(seen.trouble) == bool(trouble)
    assert (seen.check_ns > 0) == (is_known and not trouble)


@pytest.mark.parametrize("label", ["inline", "thread-pool", "process-pool", "rq[simple-worker]"])
@pytest.mark.parametrize(
    ("task", "answers"),
    [
        ("bad_repr", "inline call"),
        ("copied", "inline call, in the warm-up alone: a check takes "),
        ("deep", "not checked: its answer cannot be pickled: RecursionError"),
        ("lock", "not checked: its answer cannot be pickled: TypeError"),
    ],
)
def test_a_check_is_no_part_of_the_window_where_it_takes_long_or_fails(
    label: str, task: str, answers: str, tmp_path: Path
) -> None:
    """Every task is done, the row says how answers were checked, and the ledger shows it."""
    carried = label in {"inline", "thread-pool"} or task in {"bad_repr", "copied"}
    seen = preflight.rehearse(f"{ANSWERS}:{task}", tmp_path)
    plan: dict[str, Any] = {
        "answer": seen.answer,
        "unchecked": seen.trouble,
        "check_ns": seen.check_ns,
    }
    spec = spec_of(label, f"{ANSWERS}:{task}", Burst(6), warmup_tasks=3, **plan)
    if not carried:
        assert obstacle(spec, frozenset(Service), seen) is not None
        return
    made = run(tmp_path, spec)
    assert (made.row.status, made.row.reason, made.row.n_done) == ("ok", "", 6)
    assert made.row.answers.startswith(answers)
    tasks = made.tables["task"]
    checked = {p: int(tasks.answer[tasks.phase == p].notna().sum()) for p in ("warm_up", "measure")}
    assert checked["warm_up"] == 3 * (seen.answer is not None)
    assert checked["measure"] == 6 * (task == "bad_repr")


def test_a_wrong_answer_in_a_warm_up_that_stands_for_the_window_is_found(tmp_path: Path) -> None:
    """The trial is failed and invalid as if it had been in the window."""
    spec = spec_of(
        "thread-pool", f"{ANSWERS}:copied", Burst(6), warmup_tasks=3, answer=5, unchecked="dear"
    )
    row = run(tmp_path, spec).row
    assert (row.status, row.flag) == ("failed", "invalid")
    assert row.reason == "3 of 3 tasks of the warm-up gave a wrong answer."


def test_the_check_is_a_part_of_what_the_lab_costs(tmp_path: Path) -> None:
    """The row's cost of a task is that of the record and of the check, where it has one."""
    spec = spec_of("inline", f"{ANSWERS}:bad_repr", answer=3, check_ns=700)
    outcome = trial.run(spec, 1, tmp_path / spec.id, lambda _: None)
    assert collect(outcome, replace(CONTEXT, harness_ns=500.0)).row.harness_ns == 1_200.0


def test_what_older_plans_did_not_hold_changes_no_id() -> None:
    """A spec without the fields is the spec that it was."""
    spec = spec_of("inline", seed=5)
    fields = asdict(spec)
    assert {name: fields[name] for name in ("answer", "unchecked", "check_ns")} == {
        "answer": None,
        "unchecked": "",
        "check_ns": 0,
    }
    assert spec.id == ID
    assert replace(spec, unchecked="why").id != spec.id
