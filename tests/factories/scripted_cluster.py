"""A cluster on paper, for tests of faults: it records the calls of the injector."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

from lab.core.errors import ClusterError
from lab.core.fault_hooks import FaultHooks
from lab.core.faults import Role, Target
from lab.worker import ledger


class ScriptedCluster(FaultHooks):
    """A cluster whose one worker and child exist only on paper, and which records every call."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.site = SimpleNamespace(ledger=folder)
        self.calls: list[str] = []
        self.dead: list[str] = []
        self.refusal = ""
        self.lasting = False
        self.words = ledger.create(str(folder / "0-0-1.bin"), 0, 0, 8)

    def executes(self, *task_ids: int) -> None:
        """Let the child start tasks and finish none."""
        for index, task_id in enumerate(task_ids, start=1):
            self.words[8 * index], self.words[8 * index + 2] = task_id, time.monotonic_ns()

    def targets(self, role: Role) -> Sequence[Target]:
        """Return one process of each role; the child is the writer of the ledger."""
        pid = self.words[1] if role is Role.CHILD else 7
        return [Target(role, "node0-0", pid, 0, 0)]

    def kill(self, target: Target) -> str:
        """Kill nothing, and let the part end."""
        if self.refusal:
            raise ClusterError(self.refusal)
        self.calls.append(f"kill {target.role}")
        self.dead = [target.part] if target.role is Role.WORKER else []
        return "exit code -9"

    def pause(self, target: Target) -> str:
        """Record a pause."""
        self.calls.append(f"pause {target.role}")
        return "state T"

    def resume(self, target: Target) -> str:
        """Record the end of a pause."""
        self.calls.append(f"resume {target.role}")
        return "SIGCONT"

    def slow(self, part: str, ms: float) -> str:
        """Record a delay."""
        self.calls.append(f"slow {part} {ms:g}")
        return "measured"

    def unslow(self, part: str) -> str:
        """Record the end of a delay."""
        return self._healed(f"unslow {part}")

    def step_clock(self, target: Target, step_s: float) -> str:
        """Record a step."""
        call = f"step {target.role} {step_s:+g}"
        if not step_s:
            return self._healed(call)
        self.calls.append(call)
        return "measured"

    def _healed(self, call: str) -> str:
        if self.lasting:
            raise ClusterError("It still lasts.")
        self.calls.append(call)
        return "measured"

    def dead_parts(self) -> Sequence[str]:
        """Return the worker after it was killed."""
        return self.dead

    def restart(self, part: str) -> None:
        """Record a restart."""
        self.calls.append(f"restart {part}")
        self.dead = []
