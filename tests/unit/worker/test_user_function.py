"""Tests `lab bench --task`: a user's function is called, planned, run and ranked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from lab.cli.main import main
from lab.core.errors import ClusterError, UsageError
from lab.core.model import Burst, Serializer, TrialSpec
from lab.providers import user_code
from lab.report.recommendation import HEADINGS, choices, tiers
from lab.results.store import Store
from lab.running import preflight
from lab.worker import user_function
from lab.worker.execution import checksum
from tests.factories.campaigns import SYSTEMS, Campaign, campaign
from tests.factories.trials import run, spec_of

HERE = "tests.factories.user_tasks"


def user_spec(label: str, task: str, **changes: Any) -> TrialSpec:
    """Return a small spec of a function of `user_tasks`."""
    small: dict[str, Any] = {"arrival": Burst(6), "warmup_tasks": 0}
    return spec_of(label, f"{HERE}:{task}", **{**small, **changes})


@pytest.mark.parametrize(
    ("arguments", "name", "parsed"),
    [
        ("", "m.n:f", []),
        ("[]", "m.n:f", []),
        ('[1,"two"]', 'm.n:f[1, "two"]', [1, "two"]),
        ('{"a":1}', 'm.n:f{"a": 1}', {"a": 1}),
        (f"{HERE}:PAIR", f"m.n:f({HERE}:PAIR)", (3, b"four")),
    ],
)
def test_a_name_contains_function_and_arguments(arguments: str, name: str, parsed: Any) -> None:
    """The options yield one name, and the name yields function and arguments."""
    assert user_function.name_of("m.n:f", arguments) == name
    assert user_function.is_user_function(name)
    assert user_function.parts(name) == ("m.n:f", parsed)


@pytest.mark.parametrize(
    ("function", "arguments", "words"),
    [
        ("m.f", "", "Write package.module:function"),
        ("m:f", "[1", "neither JSON"),
        ("m:f", "3", r"Write '\[3\]'"),
        ("m:f", '"text"', "not a list or an object"),
    ],
)
def test_options_of_another_form_are_refused(function: str, arguments: str, words: str) -> None:
    """The message has the typed text and the right form."""
    with pytest.raises(UsageError, match=words):
        user_function.name_of(function, arguments)


def test_the_name_of_a_workload_is_not_that_of_a_user_function() -> None:
    """Names of workloads have no colon."""
    assert not any(
        map(user_function.is_user_function, ["noop", "cpu", "shared_global", "my-workload"])
    )


@pytest.mark.parametrize(
    ("task", "answer", "unchecked"),
    [
        ("add[1, 2]", 3, ""),
        ('add{"first": 5}', 5, ""),
        (f"measure({HERE}:PAIR)", 7, ""),
        ("later[4]", 4, ""),
        ("unrepeatable", None, "two calls gave different answers"),
        ("unordered", None, "two processes gave different answers"),
        ("raises", None, "the call raised ValueError: no such thing"),
        ("exits", None, "the call raised SystemExit: 3"),
        ("dies", None, "the call ended with code 3"),
        ("killed", None, "the call was killed by SIGKILL"),
        ("sleeps", None, "the call did not end in 1 s"),
        ("forks", 1, ""),
        ("allocates", None, "the call raised MemoryError"),
    ],
)
def test_the_preflight_returns_the_results_of_the_calls(
    task: str, answer: int | None, unchecked: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The right answer and its duration, or the failure; the calling process is not affected."""
    monkeypatch.setenv("LAB_TASK_MEMORY", "1024")
    result = preflight.run_preflight(f"{HERE}:{task}", tmp_path, 1.0 if task == "sleeps" else 20.0)
    assert (result.answer, result.unchecked) == (answer, unchecked)
    assert (result.nominal_ns > 0) == (answer is not None or task.startswith("un"))
    assert result.is_coroutine == task.startswith("later")
    assert result.failure == ("" if answer or task.startswith("un") else unchecked)


@pytest.mark.parametrize(
    ("task", "takers"),
    [
        ("add[1, 2]", {"MEMORY", "PICKLE", "CLOUDPICKLE", "JSON", "PLAIN_JSON"}),
        ("doubled[1]", {"MEMORY", "CLOUDPICKLE", "JSON", "PLAIN_JSON"}),
        (f"locked({HERE}:LOCK)", {"MEMORY"}),
        ("lines", {"MEMORY"}),
    ],
)
def test_each_serializer_is_tried(task: str, takers: set[str], tmp_path: Path) -> None:
    """It is tried with function, arguments and answer, before the run."""
    result = preflight.run_preflight(f"{HERE}:{task}", tmp_path)
    refused = {serializer for serializer, _, _ in result.refusals}
    assert {
        serializer.name for serializer in Serializer if serializer.value not in refused
    } == takers


@pytest.mark.parametrize(
    ("label", "task", "answer"),
    [
        ("thread-pool", "add[1, 2]", 3),
        ("process-pool", f"measure({HERE}:PAIR)", 7),
        ("asyncio", "later[4]", 4),
        ("thread-pool", "unrepeatable", None),
    ],
)
def test_answers_are_compared_with_the_inline_call(
    label: str, task: str, answer: int | None, tmp_path: Path
) -> None:
    """The row states how answers were checked, or that they were not."""
    row = run(tmp_path, user_spec(label, task, answer=answer)).row
    assert (row.status, row.reason, row.n_done) == ("ok", "", 6)
    assert row.answer_check == (
        "not checked: no answer repeats" if answer is None else "inline call"
    )


def test_an_answer_that_differs_from_the_inline_call_is_wrong(tmp_path: Path) -> None:
    """The trial of a user's function with wrong answers fails."""
    row = run(tmp_path, user_spec("thread-pool", "add[1, 2]", answer=checksum(4))).row
    assert (row.status, row.flag, row.n_wrong_answer) == ("failed", "invalid", 6)


@pytest.mark.parametrize(
    ("workload", "names"),
    [
        (
            f"{HERE}:add[1]",
            {"tests/factories/user_tasks.py", "tests/unit/worker/test_user_function.py"},
        ),
        ("json:dumps", set()),
        ("workloads.noop:run", set()),
    ],
)
def test_a_container_gets_the_package_of_the_function(workload: str, names: set[str]) -> None:
    """It gets neither the standard library nor packages that the image has."""
    packed = set(user_code.pack(workload))
    assert names <= packed
    assert bool(packed) == bool(names)
    assert not any("__pycache__" in name for name in packed)


def test_a_package_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message has the next step."""
    monkeypatch.setattr(user_code, "MOST_BYTES", 1_000)
    with pytest.raises(ClusterError, match="Move the function into a smaller package"):
        user_code.pack(f"{HERE}:add")


@pytest.mark.cluster
@pytest.mark.usefixtures("containers")
def test_workers_in_containers_import_the_function(tmp_path: Path) -> None:
    """Driver and node import the module from the archive."""
    spec = user_spec("rq[simple-worker]", "add[1, 2]", answer=3, provider="compose")
    row = run(tmp_path, spec).row
    assert (row.status, row.reason, row.n_done, row.answer_check) == ("ok", "", 6, "inline call")


FASTER = tuple(s for s in SYSTEMS if s.variant in {"call", "executor", "worker"})


def ranking(blocks: int) -> str:
    """Return the answer for a synthetic campaign of three backends, whose no-op is the task."""
    name = "m.n:f[1]"
    tables = {
        table: frame.replace({"workload": {"noop": name}}) if "workload" in frame else frame
        for table, frame in campaign(Campaign(systems=FASTER, cores=(1,), blocks=blocks)).items()
    }
    (choice,) = choices(tables)
    assert choice.task == name
    assert [row[0] for row in choice.rows] == ["inline", "thread-pool", "rq"]
    assert all(len(row) == len(HEADINGS) for row in choice.rows)
    return choice.answer


def test_the_answer_ranks_backends_whose_intervals_differ() -> None:
    """Two backends and a reference, whose rates differ by an order of magnitude each."""
    answer = ranking(blocks=8)
    # The reference `inline` has a row in the table, and is no choice.
    assert answer.startswith("Most tasks per second: 1. thread-pool; 2. rq (")
    assert "interval of the ratio" in answer


def test_the_answer_states_that_there_are_too_few_blocks() -> None:
    """Without intervals it is an order of magnitude."""
    assert "3 blocks are too few for an interval" in ranking(blocks=3)


def test_backends_without_a_significant_difference_are_a_tie() -> None:
    """Two backends that scatter about the same rate are in one tier."""
    by_block = pd.DataFrame(
        {"a": [10.0, 12, 11, 9, 10, 13], "b": [11.0, 10, 12, 10, 9, 12], "c": [1.0] * 6}
    )
    labels = [[label for label, _ in tier] for tier in tiers(by_block, ["a", "b", "c"])]
    assert labels == [["a", "b"], ["c"]]


# The end of a trial in a thread of the driver, in a process of a pool, in a queue's worker.
LABELS = ("thread-pool", "process-pool", "rq[simple-worker]")
ENDS = {
    "raises": ("failed: 3 of 3 tasks raised",) * 3,
    "exits": ("failed: 3 of 3 tasks raised",) * 3,
    "dies": (
        "failed: The driver ended with code 3",
        "timeout: 3 of 3 executions",
        "failed: node0 (",
    ),
    "oversleeps": ("timeout: 3 of 3 executions",) * 3,
    "forks": ("ok: ",) * 3,
    "prints": ("ok: ",) * 3,
    "allocates": ("failed: 3 of 3 tasks raised",) * 3,
    "writes": ("failed: A task wrote into the ledger's folder: mine.bin and 1 more.",) * 3,
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "label", "end"),
    [
        (task, label, end)
        for task, ends in ENDS.items()
        for label, end in zip(LABELS, ends, strict=True)
    ],
)
def test_every_failure_of_a_function_has_a_row_with_a_reason(
    task: str, label: str, end: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No process of the trial remains, and the lab continues."""
    monkeypatch.setenv("LAB_TASK_MEMORY", "1024")
    # Only an end that never comes needs the deadline; on a busy machine, each other takes seconds.
    deadline_s = 1.0 if end.startswith("timeout") else 60.0
    row = run(tmp_path, user_spec(label, task, arrival=Burst(3), deadline_s=deadline_s)).row
    assert f"{row.status}: {row.reason}".startswith(end)


@pytest.mark.slow
def test_a_campaign_continues_after_a_function_that_kills_its_worker(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every trial has its row, and the trials of the other workload succeed."""
    words = f"bench --task {HERE}:dies -b thread-pool -w noop --arrival burst --blocks 1 --seed 6"
    words += f" --tasks 20 --cores 1 --provider local --results {tmp_path}"
    words += " --allow-dirty --allow-errors"
    assert main(words.split()) == 1
    (folder,) = (tmp_path / "runs").iterdir()
    rows = Store(folder).read("trial")
    ends = rows.drop_duplicates("trial_id").groupby("workload")["status"].apply(set).to_dict()
    died = rows["workload"].eq(f"{HERE}:dies").to_numpy().argmax()
    assert (rows["workload"].iloc[died:] == "noop").any()
    assert ends == {f"{HERE}:dies": {"failed"}, "noop": {"ok"}}
    assert "Which one for" in capsys.readouterr().out
