"""Tests whole trials whose tasks are recorded beside the driver, and hand-overs that fail.

The backend runs the tasks in this process, so that their submit calls enclose their starts.
"""

from __future__ import annotations

import json
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lab.core.model import Burst, Paced, TrialSpec
from lab.driver import in_system, node_records
from lab.driver.driver import Driver
from lab.planning.phases import Phase
from lab.recording import agent_connection, handover, node_agent, node_samples
from lab.recording.agent_connection import AgentConnection
from lab.recording.ledger_reader import executions
from lab.worker import execution, ledger
from tests.factories.agents import AgentProcess, served
from tests.factories.many_machines import driver_beside, machine, row_of
from tests.factories.skewed_clocks import HOUR_NS
from tests.factories.trials import spec_of

N = 40
SPEC = spec_of("inline", arrival=Paced(N, 200.0), deadline_s=5.0)


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handover, "RETRY_S", 0.01)
    monkeypatch.setattr(agent_connection, "SILENCE_S", 0.2)
    monkeypatch.setattr(node_records, "HAND_OVER_S", 1.0)
    monkeypatch.setattr(node_records, "READ_S", 0.05)


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[AgentProcess]:
    """Run the agent of node 0 in a process of its own."""
    folder = machine(tmp_path, 0)
    folder.mkdir(parents=True)
    process = AgentProcess(folder)
    yield process
    process.process.send_signal(signal.SIGCONT)
    process.kill()


def before_hand_over(
    driven: Driver, monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]
) -> None:
    """Call a function after the window, just before the records are handed over."""
    hand_over = driven.records.hand_over

    def act_first() -> str:
        time.sleep(0.1)  # the last count of the window has ended
        act()
        return hand_over()

    monkeypatch.setattr(driven.records, "hand_over", act_first)


def row(driven: Driver, spec: TrialSpec = SPEC) -> Any:
    """Run a trial and return its row."""
    driven.run()
    return row_of(driven.folder, spec).row


def test_waits_are_those_of_one_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The node is nine hours ahead and drifts; each start is in its submit call, to the bound."""
    begin_ns = time.monotonic_ns()

    def skewed_ns() -> int:
        now_ns = time.monotonic_ns()
        return now_ns + 9 * HOUR_NS + (now_ns - begin_ns) * 50 // 1_000_000

    for module in (node_agent, execution, ledger):
        monkeypatch.setattr(module, "monotonic_ns", skewed_ns)
    machine(tmp_path, 0).mkdir(parents=True)
    with served(machine(tmp_path, 0)) as port:
        driver_beside(tmp_path, monkeypatch, SPEC, port).run()
    result = row_of(tmp_path, SPEC)
    trial: Any = result.row
    tasks = result.tables["task"]
    assert (trial.status, trial.reason, trial.n_done) == ("ok", "", N)
    assert (trial.n_negative, trial.n_lost, trial.n_unknown) == (0, 0, 0)
    bound_ns = trial.clock_bound_ns
    assert 0 < bound_ns < 50_000_000
    window = tasks[tasks.phase == "measure"]
    assert (window.t3_ns >= window.t1_ns - bound_ns).all()
    assert (window.t4_ns <= window.t2_ns + bound_ns).all()
    assert 0 < trial.ping_min_ns <= trial.ping_median_ns
    assert trial.bandwidth_bytes_per_s > 0
    # A call takes a few microseconds, but a wait is longer where a busy driver submits late.
    is_large = bound_ns > 0.05 * (window.t3_ns - window.t0_ns).median()
    assert ("clocks of two machines agree to" in trial.flag_reasons) == is_large


@pytest.mark.parametrize(("early_ns", "n_negative"), [(5_000_000, 0), (50_000_000, N)])
def test_a_start_before_its_submit_call_is_compared_with_its_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, early_ns: int, n_negative: int
) -> None:
    """The clocks agree to 10 ms: a start that is 5 ms too early is possible, and 50 ms are not."""
    with served_on_a_new_machine(tmp_path) as port:
        driver_beside(tmp_path, monkeypatch, SPEC, port).run()
    status = json.loads((tmp_path / "status.json").read_text())
    for sample in status["samples"]:
        if sample["metric"] == node_samples.ERROR:
            sample["value"] = 10e6
    (tmp_path / "status.json").write_text(json.dumps(status))
    for path in (tmp_path / "ledger").iterdir():
        changed = bytearray(path.read_bytes())
        with memoryview(changed).cast("q") as words:
            for row in range(ledger.WORDS, len(words), ledger.WORDS):
                if words[row] in Phase.MEASURE.ids:
                    words[row + 2] -= early_ns
        path.write_bytes(changed)
    trial = row_of(tmp_path, SPEC).row
    assert trial.n_negative == n_negative
    assert (trial.flag == "invalid") == (n_negative > 0), trial.flag_reasons


def test_a_count_of_several_instants_is_no_sample() -> None:
    """One node has not answered, or late."""
    offering: Any = SimpleNamespace(n_accepted=5)
    for is_current, values in ((True, [3]), (False, [])):
        finished: Any = SimpleNamespace(count=lambda: 2, is_current=is_current)
        assert [sample.value for sample in in_system.samples(finished, offering)] == values


def test_a_burst_is_repeated_without_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, agent: AgentProcess
) -> None:
    """Its markers are counted by the agent and brought into the ledger as well (METHOD M19)."""
    spec = spec_of("inline", arrival=Burst(100))
    driven = driver_beside(tmp_path, monkeypatch, spec, agent.port)
    driven._instrumentation_ns = 1e9
    driven.run()
    result = row_of(tmp_path, spec)
    assert (result.row.status, result.row.reason, result.row.n_done) == ("ok", "", 100)
    assert (result.tables["task"].phase == "unrecorded").sum() == 20


def test_an_agent_that_is_killed_in_mid_hand_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, agent: AgentProcess
) -> None:
    """The row states it, no task counts as lost, the node keeps all, and the next trial runs."""
    driven = driver_beside(tmp_path, monkeypatch, SPEC, agent.port)
    read = AgentConnection.read

    def dying(connection: AgentConnection, name: str, offset: int) -> Iterator[bytes]:
        parts = read(connection, name, offset)
        yield next(parts)[:1_000]
        agent.kill()
        yield from read(connection, name, offset)

    before_hand_over(
        driven, monkeypatch, lambda: monkeypatch.setattr(AgentConnection, "read", dying)
    )
    trial = row(driven)
    assert trial.status == "failed"
    assert trial.reason.startswith("node 0: 0 of 1 record files arrived complete. ")
    assert trial.n_sent == N
    assert trial.n_done + trial.n_unknown == N
    assert (trial.n_lost, trial.n_partial) == (0, 0)
    assert trial.n_unknown > 0
    recorded = [r for p in machine(tmp_path, 0).iterdir() for r in executions(p)[1]]
    assert len([r for r in recorded if r.task_id in Phase.MEASURE.ids and r.published]) == N
    monkeypatch.setattr(AgentConnection, "read", read)
    later = tmp_path / "later"
    later.mkdir()
    with served_on_a_new_machine(later) as port:
        trial = row(driver_beside(later, monkeypatch, SPEC, port))
    assert (trial.status, trial.reason, trial.n_done) == ("ok", "", N)


def served_on_a_new_machine(folder: Path) -> Any:
    """Run the agent of node 0 of another trial in a thread."""
    machine(folder, 0).mkdir(parents=True)
    return served(machine(folder, 0))


def test_a_record_file_that_was_cut_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, agent: AgentProcess
) -> None:
    """The tasks before the cut count, and the others are unknown."""
    driven = driver_beside(tmp_path, monkeypatch, SPEC, agent.port)

    def cut() -> None:
        (path,) = machine(tmp_path, 0).iterdir()
        tenth = Phase.MEASURE.first_task + 9
        row = [record.task_id for record in executions(path)[1]].index(tenth) + 1
        path.write_bytes(path.read_bytes()[: (row + 1) * ledger.ROW_BYTES])

    before_hand_over(driven, monkeypatch, cut)
    trial = row(driven)
    assert trial.status == "failed"
    assert "was cut short: " in trial.reason
    assert (trial.n_done, trial.n_unknown, trial.n_lost) == (10, N - 10, 0)


def test_a_node_whose_disk_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that was recorded counts, and the row states what may be missing."""
    usage = shutil.disk_usage(tmp_path)
    with served_on_a_new_machine(tmp_path) as port:
        driven = driver_beside(tmp_path, monkeypatch, SPEC, port)
        full = usage._replace(free=4_096)
        before_hand_over(
            driven,
            monkeypatch,
            lambda: monkeypatch.setattr(shutil, "disk_usage", lambda _folder: full),
        )
        trial = row(driven)
    assert (trial.status, trial.n_done, trial.n_unknown) == ("failed", N, 0)
    assert trial.reason == (
        "node 0: the disk of its records has only 4,096 bytes free: tasks may lack one."
    )


@pytest.mark.parametrize("heals", [True, False])
def test_a_network_that_is_divided_during_the_hand_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, agent: AgentProcess, *, heals: bool
) -> None:
    """Nothing is lost if it heals in time; otherwise the row states it."""
    driven = driver_beside(tmp_path, monkeypatch, SPEC, agent.port)

    def divide() -> None:
        agent.process.send_signal(signal.SIGSTOP)
        if heals:
            threading.Timer(0.5, agent.process.send_signal, [signal.SIGCONT]).start()

    before_hand_over(driven, monkeypatch, divide)
    trial = row(driven)
    if heals:
        assert (trial.status, trial.reason, trial.n_done) == ("ok", "", N)
    else:
        assert trial.status == "failed"
        assert "TimeoutError" in trial.reason
        assert "node 0: its agent did not answer" in trial.reason
        assert trial.n_done + trial.n_unknown == N
        assert trial.n_lost == 0


def test_a_network_that_is_divided_in_the_window(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, agent: AgentProcess
) -> None:
    """Counts that are late are no counts of one instant: Little's law rejects no such trial."""
    driven = driver_beside(tmp_path, monkeypatch, SPEC, agent.port)
    measure = driven.measure

    def divided() -> None:
        threading.Timer(0.05, agent.process.send_signal, [signal.SIGSTOP]).start()
        threading.Timer(0.6, agent.process.send_signal, [signal.SIGCONT]).start()
        measure()

    monkeypatch.setattr(driven, "measure", divided)
    trial = row(driven)
    assert (trial.status, trial.reason, trial.n_done) == ("ok", "", N)
    assert trial.flag != "invalid", trial.flag_reasons


def test_a_driver_that_ends_before_the_hand_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, agent: AgentProcess
) -> None:
    """The lab has only the records of the last copy; it calls no task of the window lost."""
    driven = driver_beside(tmp_path, monkeypatch, SPEC, agent.port)
    hand_over = driven.records.hand_over

    def stopped() -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(driven.records, "hand_over", stopped)
    with pytest.raises(KeyboardInterrupt):
        driven.run()
    trial = row_of(tmp_path, SPEC).row
    assert trial.status == "failed"
    assert "The records of other machines were not handed over." in trial.reason
    assert (trial.n_sent, trial.n_unknown, trial.n_lost) == (N, N, 0)
    assert hand_over() == ""
    assert sum(1 for p in driven.records.ledger.iterdir() for _ in executions(p)[1]) > N


def test_an_agent_that_never_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, agent: AgentProcess
) -> None:
    """The trial ends before its first task, with the name of the node."""
    monkeypatch.setattr(node_records, "START_S", 0.1)
    driven = driver_beside(tmp_path, monkeypatch, SPEC, agent.port)
    agent.kill()
    trial = row(driven)
    assert (trial.status, trial.n_sent) == ("failed", 0)
    assert trial.reason.startswith("node 0: its agent did not answer. ConnectionRefusedError")
