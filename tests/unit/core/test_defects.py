"""Tests that an unexpected exception becomes a row or a sentence, and never ends a campaign.

The tests marked `defect` make a part of the lab fail. In every other test, a defect that the lab
caught is a failure (`defects_met` in conftest.py).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import pytest

from lab.analysis import compute
from lab.analysis.metrics import registry
from lab.analysis.metrics.metric import Metric
from lab.campaign import run_folder, runner
from lab.core import defects
from lab.core.errors import DiskError, LabError, UsageError
from lab.core.model import Burst
from lab.driver import instrumentation_cost
from lab.planning.plan import Plan
from lab.planning.presets import LOAD_SWEEPS
from lab.providers import watchdog
from lab.recording import host_counters
from lab.results.schema import TrialRow
from lab.results.store import Store
from lab.running import host_baselines, trial
from lab.validation.trial_row import collect
from tests.factories.trials import spec_of

MESSAGE = "a message with /srv/somebody in it"


class Notes:
    """Listens to a campaign and collects the sentences that it reports beside the rows."""

    def __init__(self) -> None:
        self.sentences: list[str] = []

    def begin(self, *_: object) -> None:
        """Ignore the progress of the trials."""

    trial = phase = row = between_blocks = begin

    def note(self, sentence: str) -> None:
        """Collect a sentence."""
        self.sentences.append(sentence)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace calibration and watchdog, which these tests do not need and which take time."""
    monkeypatch.setattr(instrumentation_cost, "cost_ns", lambda: 1_000.0)
    monkeypatch.setattr(watchdog, "on_duty", contextlib.nullcontext)
    monkeypatch.setattr(watchdog, "remove_dead", dict)
    monkeypatch.setattr(host_counters, "calibrate", lambda: 10_000_000)


def broken(*_: Any, **__: Any) -> NoReturn:
    """Raise an exception that no code of the lab expects."""
    raise KeyError(MESSAGE)


def two_trials(**more: Any) -> run_folder.Run:
    """Plan two small trials of one block."""
    specs = tuple(spec_of("inline", arrival=Burst(n)) for n in (20, 21))
    return run_folder.Run(Plan(specs, ()), "quick", seed=1, reruns=0, command="lab bench", **more)


def execute(folder: Path, run: run_folder.Run) -> tuple[Store, list[TrialRow], Notes]:
    """Run a campaign in the folder."""
    store, notes = run_folder.create(folder, run), Notes()
    return store, runner.execute(store, run, notes), notes


def first_only(whole: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that raises in its first call, and then calls `whole`."""
    calls: list[int] = []

    def call(*arguments: Any, **named: Any) -> Any:
        calls.append(1)
        return broken() if len(calls) == 1 else whole(*arguments, **named)

    return call


@pytest.mark.defect
@pytest.mark.parametrize(
    ("room", "name"),
    [
        (trial, "run_trial"),
        (runner, "collect"),
        (trial, "_follow"),
        (host_counters, "read_host"),
        (Store, "write_parquet"),
    ],
    ids=lambda part: getattr(part, "__name__", part),
)
def test_a_defect_in_a_trial_is_a_failed_row_and_the_next_trial_runs(
    room: Any, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reason has type and place but no message; the traceback is in the trial's folder."""
    monkeypatch.setattr(room, name, first_only(getattr(room, name)))
    store, rows, _ = execute(tmp_path, two_trials())
    assert [row.status for row in rows] == ["failed", "ok"]
    reason = rows[0].reason
    assert reason.startswith("A defect of the lab: KeyError at lab/"), reason
    assert reason.endswith(f"Its traceback is in {defects.FILE}; report it as an issue.")
    assert "somebody" not in reason
    file = store.trial_folder(rows[0].trial_id, 1) / defects.FILE
    assert MESSAGE in file.read_text()
    assert rows[0].n_planned == 20
    store.check()
    assert len(store.read("task")) >= 21
    assert set(store.read("metric").attempt) == {1}


@pytest.mark.defect
def test_a_resumed_campaign_does_not_repeat_a_trial_with_a_defect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A trial with a failed row is finished, so it is not repeated forever."""
    run = two_trials()
    with monkeypatch.context() as patch:
        patch.setattr(trial, "run_trial", broken)
        store, rows, _ = execute(tmp_path, run)
    assert [row.status for row in rows] == ["failed", "failed"]
    assert runner.execute(store, run, Notes()) == []


@pytest.mark.defect
def test_a_killed_trial_with_unreadable_records_is_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The trial has a row, and a second attempt runs."""
    run = two_trials()
    store = run_folder.create(tmp_path, run)
    store.trial_folder(run.plan.trials[0].id, 1).mkdir(parents=True)
    monkeypatch.setattr(runner, "collect", first_only(collect))
    rows = runner.execute(store, run, Notes())
    assert [row.status for row in rows] == ["ok", "ok"]
    killed = store.read("trial").iloc[0]
    assert (killed.status, killed.attempt) == ("interrupted", 1)
    assert "Its records cannot be read: A defect of the lab: KeyError" in killed.reason
    store.check()


@pytest.mark.parametrize("error", [KeyboardInterrupt, DiskError("The disk is full.")])
def test_an_interrupt_and_a_full_disk_end_the_campaign(
    error: BaseException | type[BaseException], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither is a failure of a trial: no further trial runs."""

    def stop(*_: object) -> NoReturn:
        raise error

    monkeypatch.setattr(trial, "run_trial", stop)
    run = two_trials()
    store = run_folder.create(tmp_path, run)
    with pytest.raises(error if isinstance(error, type) else type(error)):
        runner.execute(store, run, Notes())
    assert len(store.read("trial")) == 0


def test_an_error_that_the_user_can_fix_is_no_defect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message of a `LabError` is the reason, and no traceback is written."""

    def refuse(*_: object) -> NoReturn:
        raise UsageError("The module\nis gone.")

    monkeypatch.setattr(trial, "run_trial", refuse)
    store, rows, _ = execute(tmp_path, two_trials())
    assert [row.reason for row in rows] == ["The module is gone."] * 2
    assert not list(store.folder.rglob(defects.FILE))


def test_a_campaign_goes_on_without_its_instrumentation_cost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each trial runs, and the table `baseline` has the reason why the cost is missing."""
    reason = "its process printed 'garbage'"

    def refuse() -> NoReturn:
        raise LabError(reason)

    monkeypatch.setattr(instrumentation_cost, "cost_ns", refuse)
    store, rows, notes = execute(tmp_path, two_trials())
    assert [row.status for row in rows] == ["ok", "ok"]
    table = store.read("baseline")
    assert [*table.baseline, *table.unit, *table.method] == [
        instrumentation_cost.NAME,
        "ns",
        reason,
    ]
    assert [reason in sentence for sentence in notes.sentences] == [True]
    runner.execute(store, two_trials(), Notes())
    store.check()


@pytest.mark.defect
@pytest.mark.parametrize(
    "name", ["_start", "_benchmark_redis", "_round_trips", "measure_baselines"]
)
def test_a_broken_baseline_is_a_row_and_the_trials_run(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failed host baseline does not affect the trials."""
    monkeypatch.setattr(host_baselines, name, broken)
    spec = spec_of("raw-redis", arrival=Burst(20))
    run = run_folder.Run(Plan((spec,), ()), "quick", seed=1, reruns=0, command="lab bench")
    store, rows, _ = execute(tmp_path, run)
    assert [row.status for row in rows] == ["ok"]
    assert store.read("baseline").method.str.contains("KeyError").any()
    store.check()


@pytest.mark.defect
def test_a_defect_in_one_metric_refuses_that_metric(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other metrics of the trial have values."""
    name = "makespan_s"
    measured = registry.METRICS[name]
    assert isinstance(measured, Metric)
    monkeypatch.setitem(registry.METRICS, name, replace(measured, measure=broken))
    store, rows, _ = execute(tmp_path, two_trials())
    assert [row.status for row in rows] == ["ok", "ok"]
    numbers = store.read("metric")
    refused = numbers[numbers.metric == name]
    assert refused.value.isna().all()
    assert set(refused.method.str.contains("A defect of the lab: KeyError")) == {True}
    assert numbers[numbers.metric == "service_s_p50"].value.notna().all()


@pytest.mark.defect
def test_a_defect_in_the_metrics_of_a_trial_refuses_all_of_that_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All metrics of one trial are refused, and those of the other have values."""
    store, _, _ = execute(tmp_path, two_trials())
    monkeypatch.setattr(registry, "trial_metrics", first_only(registry.trial_metrics))
    assert compute.compute(store) == []
    numbers = store.read("metric")
    by_trial = numbers.groupby("trial_id").value.count()
    assert sorted(by_trial > 0) == [False, True]


@pytest.mark.defect
@pytest.mark.parametrize("part", ["capacities", "estimates", "sweeps"])
def test_a_defect_in_a_derived_table_is_a_sentence(
    part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The campaign ends normally with the other tables, and `lab report` computes all of them."""
    with monkeypatch.context() as patch:
        patch.setattr(compute, part, broken)
        store, rows, notes = execute(tmp_path, two_trials())
    assert [row.status for row in rows] == ["ok", "ok"]
    assert all("A defect of the lab: KeyError" in sentence for sentence in notes.sentences)
    assert notes.sentences
    assert compute.compute(store) == []


@pytest.mark.defect
def test_a_defect_in_planning_ends_the_plan_with_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The measured trials are kept, and the campaign ends as if its load sweep were complete."""
    monkeypatch.setattr(runner, "next_stage", broken)
    _, rows, notes = execute(tmp_path, two_trials(sweep=LOAD_SWEEPS["quick"]))
    assert [row.status for row in rows] == ["ok", "ok"]
    (sentence,) = notes.sentences
    assert sentence.startswith("The next trials could not be planned from the results: A defect")


@pytest.mark.defect
def test_a_defect_of_another_library_has_a_type_and_no_place(tmp_path: Path) -> None:
    """If the traceback has no line of the lab, the sentence has none."""
    try:
        broken()
    except KeyError as error:
        sentence = defects.describe(error, tmp_path / "no" / "such" / "folder")
    assert sentence.startswith("A defect of the lab: KeyError. Its traceback")
    assert (tmp_path / "no" / "such" / "folder" / defects.FILE).exists()
