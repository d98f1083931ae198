"""Tests the command `lab` as a user calls it: help, typos, plans, runs, stops and resumes."""

from __future__ import annotations

import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pytest

from lab.host import processes
from lab.results.store import Store
from tests.conftest import RunCli

SMALL = ["--tasks", "40", "--cores", "1", "--seed", "3", "--blocks", "1", "--allow-disturbed"]


def lab(
    *arguments: str, python: Sequence[str] = (), **more: Any
) -> subprocess.CompletedProcess[str]:
    """Run the command to its end, with the local provider by default."""
    return subprocess.run(
        [sys.executable, *python, "-m", "lab.cli", *arguments, *provider(arguments)],
        capture_output=True,
        text=True,
        check=False,
        **more,
    )


def provider(arguments: Sequence[str]) -> list[str]:
    """Return the option for the local provider, unless the test names one."""
    is_open = arguments[:1] == ("bench",) and not {"--provider", "--resume"} & {*arguments}
    return ["--provider", "local"] if is_open else []


def begin(*arguments: str) -> subprocess.Popen[bytes]:
    """Start the command in the background, with the local provider by default."""
    return subprocess.Popen(
        [sys.executable, "-m", "lab.cli", *arguments, *provider(arguments)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        # A background process of a shell ignores Ctrl-C; one of a terminal does not.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 (no threads)
    )


def ours(pid: int) -> list[psutil.Process]:
    """Return the running processes that the lab process `pid` started."""
    return processes.labelled(lambda env: f":{pid}:" in env.get(processes.OWNER, ""))


def until(condition: Callable[[], object], seconds: float = 60.0) -> None:
    """Wait until a condition is true; fail after `seconds`, a bound that a busy machine needs."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen"
        time.sleep(0.02)


@pytest.mark.parametrize("command", [[], ["bench"], ["list"], ["report"], ["doctor"], ["clean"]])
def test_help_teaches_and_costs_nothing(command: list[str], run_cli: RunCli) -> None:
    """Every command explains itself on standard output."""
    shown = run_cli(*command, "--help")
    assert shown.returncode == 0
    assert "usage: lab" in shown.stdout
    assert shown.stderr == ""


def test_help_shows_every_option_and_an_example(run_cli: RunCli) -> None:
    """The options that the README promises are there, with an example to copy."""
    shown = run_cli("bench", "--help").stdout
    options = "backend workload cores nodes workers preset blocks seed provider dry-run resume"
    assert all(f"--{option}" in shown for option in options.split())
    assert "--backend 'celery[threads]@safe'" in shown


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["bench", "--backend", "celry"], 2, "Did you mean 'celery'"),
        (["bench", "--workload", "nop"], 2, "Did you mean 'noop'"),
        (["bench", "--preset", "qick"], 2, "Did you mean 'quick'"),
        (["bench", "--provider", "locl"], 2, "Did you mean 'local'"),
        (["bench", "--arrival", "brust"], 2, "Did you mean 'burst'"),
        (["bench", "--provider", "local", "--quota", "0.5"], 2, "--quota needs containers"),
        (
            ["bench", "--provider", "compose", "--cores", "1", "--quota", "1"],
            2,
            "does not limit a node of 1 core:",
        ),
        (["bench", "--quota", "0.01"], 2, "not a number from 0.1 to"),
        (["bench", "--provider", "local", "--rate", "0.0005"], 2, "take longer than a day"),
        (["bench", "--gaps", "gaussian"], 2, "invalid choice: 'gaussian'"),
        (["bench", "--cores", "0"], 2, "not a whole number from 1 to"),
        (["bench", "--workload", "cpu:fast"], 2, "not a whole number"),
        (["bench", "--resume", "nowhere"], 2, "nowhere is not a run folder"),
        (["report", "nowhere"], 2, "nowhere is not a run folder"),
        (["bench", "--backend", "inline", "--nodes", "2"], 3, "cannot span nodes"),
        (
            ["bench", "--backend", "celery", "--arrival", "round-trip", "--workload", "noop"],
            3,
            "no result",
        ),
    ],
)
def test_a_mistake_gets_one_sentence(
    arguments: list[str], code: int, message: str, run_cli: RunCli
) -> None:
    """Exit code and sentence are right, there is no traceback, and nothing was made."""
    shown = run_cli(*arguments, *provider(arguments))
    assert shown.returncode == code
    assert message in " ".join(shown.stderr.split())
    assert "Traceback" not in shown.stderr


def test_a_mistake_ends_the_process() -> None:
    """The exit code is the result of `main`, and the sentence is the only output."""
    shown = lab("bench", "--backend", "celry")
    assert (shown.returncode, shown.stdout) == (2, "")
    assert "Did you mean 'celery'" in " ".join(shown.stderr.split())


def test_a_dry_run_prints_the_plan_and_makes_nothing(tmp_path: Path, run_cli: RunCli) -> None:
    """The plan has the trials in order and the estimated time; no file is created."""
    shown = run_cli(
        "bench",
        "--dry-run",
        "--provider",
        "local",
        "--results",
        str(tmp_path / "r"),
        "-b",
        "inline",
        "-b",
        "celery",
    )
    assert shown.returncode == 0
    assert re.search(
        r"\d+ trials, about .* if nothing else uses this machine\. Nothing was run\.", shown.stdout
    )
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(
    ("options", "trials"),
    [("", "1 trial"), ("--cores 1,2", "2 trials"), ("--cores 1,2 --blocks 3", "6 trials")],
)
def test_cores_and_blocks_of_the_command_line_apply_to_every_case(
    options: str, trials: str, run_cli: RunCli
) -> None:
    """Without these options the quick preset runs one paced trial."""
    paced = "bench --dry-run --provider local -b thread-pool -w noop --arrival paced"
    shown = run_cli(*paced.split(), *options.split())
    assert shown.stdout.splitlines()[-1].startswith(f"{trials}, ")


def test_lists_are_data_on_standard_output(run_cli: RunCli) -> None:
    """`lab list` names every backend and workload, without colour when piped."""
    shown = run_cli("list")
    assert shown.returncode == 0
    assert all(word in shown.stdout for word in ("celery[prefork]", "safe", "payload", "standard"))
    assert "\x1b[" not in shown.stdout


def test_the_list_has_the_contract_of_each_system(run_cli: RunCli) -> None:
    """A pool is not a durable queue, and a profile may have another contract than the default."""
    rows = run_cli("list", "backends").stdout.splitlines()
    (celery,) = (row for row in rows if "celery[prefork] " in row)
    assert "at-most-once" in celery
    assert "@safe (at-least-once) @tuned: " in celery
    (pool,) = (row for row in rows if "thread-pool[executor]" in row)
    assert "  pool; " in pool
    safe = run_cli("list", "at-least-once").stdout
    assert "rq[worker]" in safe
    assert "huey" not in safe


def test_a_run_has_tables_figures_and_a_page(tmp_path: Path) -> None:
    """One command runs the trials, writes the results, and prints the run folder."""
    shown = lab(
        "bench", "-b", "inline", "-b", "thread-pool", "-w", "noop", *SMALL,
        "--results", str(tmp_path),
    )  # fmt: skip
    assert shown.returncode == 0, shown.stderr
    (run,) = (tmp_path / "runs").iterdir()
    messages = " ".join(shown.stderr.split())
    assert str(run) in messages.replace(" ", "") or str(run) in messages
    assert (run / "report.html").exists()
    store = Store(run)
    store.check()
    trials = store.read("trial")
    assert set(trials.status) == {"ok"}
    assert set(trials.n_done) == {40}
    assert len(store.read("metric"))
    assert "thread-pool" in shown.stdout
    assert str(tmp_path) not in store.read("campaign").command.iloc[0]


def test_a_failed_trial_gives_exit_code_one_and_the_others_run(
    tmp_path: Path, misbehaving: dict[str, str], run_cli: RunCli
) -> None:
    """One workload raises, and the other is measured."""
    shown = run_cli(
        "bench", "-b", "thread-pool", "-w", misbehaving["RAISING"], "-w", "noop", *SMALL,
        "--provider", "local", "--tables-only", "--results", str(tmp_path),
    )  # fmt: skip
    assert shown.returncode == 1
    (run,) = (tmp_path / "runs").iterdir()
    trials = Store(run).read("trial")
    failed = trials[trials.status == "failed"]
    assert set(failed.workload) == {misbehaving["RAISING"]}
    assert set(trials[trials.status == "ok"].workload) == {"noop"}


def start_slow(results: Path) -> subprocess.Popen[bytes]:
    """Start a campaign of several trials with a broker, and wait until the second one runs."""
    running = begin(
        "bench", "-b", "celery[threads]", "-w", "noop", "--arrival", "paced", "--rate", "40",
        "--tasks", "40", "--cores", "1", "--blocks", "4", "--seed", "3", "--results", str(results),
    )  # fmt: skip
    until(lambda: len(list(results.glob("runs/*/trials/*/status.json"))) >= 2)
    return running


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_cleans_up_and_loses_no_finished_trial(tmp_path: Path, number: int) -> None:
    """Ctrl-C and SIGTERM stop the cluster at once, and the exit code is 130."""
    running = start_slow(tmp_path)
    running.send_signal(number)
    assert running.wait(60) == 130
    assert ours(running.pid) == []
    (run,) = (tmp_path / "runs").iterdir()
    assert len(Store(run).read("trial")) >= 1


@pytest.mark.slow
@pytest.mark.alone(beside="calm")  # each starting lab cleans up as well
@pytest.mark.parametrize("killed", ["lab", "lab and watchdog"])
def test_a_killed_lab_is_cleaned_up_and_resumed(tmp_path: Path, killed: str) -> None:
    """Its watchdog or `lab clean` stops all processes; a resume runs exactly the missing trials."""
    running = start_slow(tmp_path)
    assert ours(running.pid) != []
    if killed != "lab":
        next(
            p for p in processes.tree(running.pid) if "lab.providers.watchdog" in p.cmdline()
        ).kill()
    running.kill()
    running.wait()
    if killed == "lab":
        until(lambda: not ours(running.pid), seconds=5.0)
    else:
        assert lab("clean").returncode == 0
    assert ours(running.pid) == []
    (run,) = (tmp_path / "runs").iterdir()
    before = Store(run).read("trial")
    resumed = lab("bench", "--tables-only", "--resume", str(run))
    assert resumed.returncode == 0, resumed.stderr
    after = Store(run).read("trial")
    pd.testing.assert_frame_equal(after.iloc[: len(before)], before)
    ok = after[after.status == "ok"]
    assert ok.trial_id.nunique() == 4
    # An invalid trial may have a second attempt, but no finished trial runs again.
    assert not set(ok.trial_id[ok.index >= len(before)]) & set(before.trial_id)
    assert (after.status == "interrupted").sum() == 1
    again = lab("bench", "--tables-only", "--resume", str(run))
    assert again.returncode == 0
    assert len(Store(run).read("trial")) == len(after)


@pytest.mark.parametrize(
    ("largest", "step"), [(4_096, "no trial has run yet"), (16_384, "lab bench --resume")]
)
def test_a_full_disk_loses_no_finished_trial(tmp_path: Path, largest: int, step: str) -> None:
    """If the run cannot be created, no file remains; if it cannot grow, its rows remain."""

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))

    # -B, because byte code would be truncated as well, which breaks every later import.
    selected = ("bench", "-b", "inline", *SMALL, "--results", str(tmp_path))
    shown = lab(*selected, python=["-B"], preexec_fn=limit)
    assert shown.returncode == 5
    message = " ".join(shown.stderr.split())
    assert re.search(rf"the disk or its quota is full\. Free some space in .*{step}", message)
    assert "Traceback" not in shown.stderr
    assert [Store(run).campaign().seed for run in (tmp_path / "runs").iterdir()] == (
        [] if step.startswith("no trial") else [3]
    )
