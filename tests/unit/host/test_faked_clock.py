"""Tests that a faked wall clock follows its file, and that every other clock stays true."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from lab.core.errors import ClusterError
from lab.host import faked_clock, programs, wall_clock
from lab.worker import clock_file

HOUR_NS = 3_600_000_000_000
# Prints the offset of the wall clock after each line of input, then how long a sleep took.
LIVE = (
    "import sys, time\n"
    "from lab.host.wall_clock import kernel_ns, offset_ns, read\n"
    "for line in sys.stdin:\n"
    "    print(time.time_ns() - kernel_ns(time.CLOCK_REALTIME), offset_ns(read()), flush=True)\n"
    "begin = time.monotonic()\n"
    "time.sleep(0.05)\n"
    "print(time.monotonic() - begin)\n"
)


@pytest.fixture
def variables(tmp_path: Path) -> dict[str, str]:
    """The environment of a process whose clock follows the file `clock`."""
    library = faked_clock.library()
    assert library is not None
    return faked_clock.variables(str(library), str(tmp_path / "clock"))


@pytest.mark.parametrize("step_s", [3600.0, -3600.0, 0.5])
def test_a_running_process_reads_each_step(
    step_s: float, variables: dict[str, str], tmp_path: Path
) -> None:
    """Its monotonic clock and its sleep are true, and so is the clock of `wall_clock.read`."""
    environment = {**variables, "PYTHONPATH": str(Path(__file__).parents[3])}
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        [sys.executable, "-c", LIVE], env=environment, stdin=pipe, stdout=pipe, text=True
    )
    assert process.stdin
    assert process.stdout
    true_ns = wall_clock.offset_ns(wall_clock.read())
    for seconds in (None, step_s, 0.0):
        if seconds is not None:
            clock_file.set_step(tmp_path / "clock", seconds)
        process.stdin.write("\n")
        process.stdin.flush()
        faked_ns, read_ns = map(int, process.stdout.readline().split())
        assert abs(faked_ns - (seconds or 0.0) * 1e9) < 1e8
        assert abs(read_ns - true_ns) < 1e8
    process.stdin.close()
    assert float(process.stdout.read()) >= 0.05
    process.stdout.close()
    assert process.wait(10) == 0


def test_the_proof_is_read_by_a_process_of_the_same_environment(
    variables: dict[str, str], tmp_path: Path
) -> None:
    """Without the library, with another step, or in no process, it is refused."""
    clock_file.set_step(tmp_path / "clock", -3600.0)
    command = [sys.executable, "-m", wall_clock.__name__]
    offsets = programs.output_of(command, 10.0, variables=variables)
    wall_s, monotonic_s = (offset / 1e9 for offset in json.loads(offsets))
    assert faked_clock.proof(-3600.0, offsets, 3) == (
        f"wall clock {wall_s:+.3f} s, monotonic clock {monotonic_s:+.3f} s; "
        "3 processes with libfaketime"
    )
    with pytest.raises(ClusterError, match="reads wall clock -3"):
        faked_clock.proof(3600.0, offsets, 3)
    with pytest.raises(ClusterError, match="No process of the target has loaded libfaketime"):
        faked_clock.proof(-3600.0, offsets, 0)
    with pytest.raises(ClusterError, match=r"monotonic clock \+3600\.000 s"):
        faked_clock.proof(3600.0, json.dumps([HOUR_NS, HOUR_NS]), 3)


def test_the_shared_memory_of_ended_processes_is_removed(variables: dict[str, str]) -> None:
    """A process that is killed leaves it; that of a running process remains."""
    command, pipe = [sys.executable, "-c", "print('begun', flush=True); input()"], subprocess.PIPE
    kinds = ("faketime_shm_", "sem.faketime_sem_")
    with subprocess.Popen(command, env=variables, stdin=pipe, stdout=pipe) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        mine = [faked_clock.SHARED / f"{kind}{process.pid}" for kind in kinds]
        faked_clock.remove_dead()
        assert all(path.exists() for path in mine)
        process.kill()
    # No count: a lab of another test may remove them first.
    faked_clock.remove_dead()
    assert not any(path.exists() for path in mine)
