"""Tests the check of the answers of a user's function, and that it does not affect the window."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from lab.core.model import Burst, Service
from lab.core.preflight import PreflightResult
from lab.planning.compatibility import unsupported_reason
from lab.running import preflight, trial
from lab.validation.trial_row import collect
from tests.factories.trials import CONTEXT, run, spec_of

# The id of a small spec of the inline loop, from before the fields for answer checks existed.
ID = "7ca76e19a99dd653"
ANSWERS = "tests.factories.user_functions.answers"
TOO_SLOW = "a check takes "
UNPICKLABLE = "its answer cannot be pickled: "
Preflight = Callable[[str], PreflightResult]


@pytest.fixture(scope="module")
def preflight_of(tmp_path_factory: pytest.TempPathFactory) -> Preflight:
    """Return the preflight of a function, which runs once for all tests: it starts processes."""

    @cache
    def result_of(task: str) -> PreflightResult:
        folder = tmp_path_factory.mktemp("preflight")
        return preflight.run_preflight(f"{ANSWERS}:{task}", folder)

    return result_of


@pytest.mark.parametrize(
    ("task", "is_known", "unchecked"),
    [
        ("bad_repr", True, ""),
        ("surrogate", True, ""),
        ("nan", True, ""),
        ("unordered", True, ""),
        ("filled", True, ""),
        ("shared", True, ""),
        ("copied", True, TOO_SLOW),
        ("big_list[300000]", True, TOO_SLOW),
        ("big_text[300000]", True, TOO_SLOW),
        ("deep", False, f"{UNPICKLABLE}RecursionError"),
        ("cyclic", False, f"{UNPICKLABLE}ValueError"),
        ("bad_pickle", False, f"{UNPICKLABLE}RuntimeError: not bound to a session"),
        ("lock", False, f"{UNPICKLABLE}TypeError"),
        ("numpy_middle", False, "two calls gave different answers"),
        ("bytes_middle", False, "two calls gave different answers"),
        ("same_repr", False, "two calls gave different answers"),
    ],
)
def test_preflight_compares_answers_by_all_their_bytes(
    task: str, is_known: bool, unchecked: str, preflight_of: Preflight
) -> None:
    """Answers with equal `repr` may differ; an answer that cannot be compared has a reason."""
    preflight_result = preflight_of(task)
    assert (preflight_result.answer is not None, preflight_result.failure) == (is_known, "")
    assert preflight_result.unchecked.startswith(unchecked)
    assert bool(preflight_result.unchecked) == bool(unchecked)
    assert (preflight_result.check_ns > 0) == (is_known and not unchecked)


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
def test_window_has_no_check_that_is_slow_or_impossible(
    label: str, task: str, answers: str, preflight_of: Preflight, tmp_path: Path
) -> None:
    """All tasks finish, the row describes the check, and the ledger has the checked answers."""
    is_picklable = label in {"inline", "thread-pool"} or task in {"bad_repr", "copied"}
    preflight_result = preflight_of(task)
    plan: dict[str, Any] = {
        "answer": preflight_result.answer,
        "unchecked": preflight_result.unchecked,
        "check_ns": preflight_result.check_ns,
    }
    spec = spec_of(label, f"{ANSWERS}:{task}", Burst(6), warmup_tasks=3, **plan)
    if not is_picklable:
        assert unsupported_reason(spec, frozenset(Service), preflight_result) is not None
        return
    result = run(tmp_path, spec)
    assert (result.row.status, result.row.reason, result.row.n_done) == ("ok", "", 6)
    assert result.row.answer_check.startswith(answers)
    tasks = result.tables["task"]
    checked = {p: int(tasks.answer[tasks.phase == p].notna().sum()) for p in ("warm_up", "measure")}
    assert checked["warm_up"] == 3 * (preflight_result.answer is not None)
    assert checked["measure"] == 6 * (task == "bad_repr")


def test_wrong_answer_in_the_warm_up_makes_the_trial_invalid(tmp_path: Path) -> None:
    """If only the warm-up is checked, a wrong answer there counts as one in the window."""
    spec = spec_of(
        "thread-pool", f"{ANSWERS}:copied", Burst(6), warmup_tasks=3, answer=5, unchecked="slow"
    )
    row = run(tmp_path, spec).row
    assert (row.status, row.flag) == ("failed", "invalid")
    assert row.reason == "3 of 3 tasks of the warm-up gave a wrong answer."


def test_instrumentation_cost_includes_the_check(tmp_path: Path) -> None:
    """The row's `instrumentation_ns` is the cost of the record plus the cost of the check."""
    spec = spec_of("inline", f"{ANSWERS}:bad_repr", answer=3, check_ns=700)
    outcome = trial.run_trial(spec, 1, tmp_path / spec.id, lambda _: None)
    assert (
        collect(outcome, replace(CONTEXT, instrumentation_ns=500.0)).row.instrumentation_ns
        == 1_200.0
    )


def test_trial_id_ignores_check_fields_at_their_defaults() -> None:
    """A spec without the fields has the id that it had before they existed."""
    spec = spec_of("inline", seed=5)
    fields = asdict(spec)
    assert {name: fields[name] for name in ("answer", "unchecked", "check_ns")} == {
        "answer": None,
        "unchecked": "",
        "check_ns": 0,
    }
    assert spec.id == ID
    assert replace(spec, unchecked="why").id != spec.id
