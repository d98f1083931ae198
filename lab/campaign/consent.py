"""Decides whether a run that lies in a file may call a function that is not the lab's.

Results are data: the name of a function in them starts nothing by itself. It is called again on two
conditions. The command line names the same function, and the run bears a proof that this user
created it on this machine: a keyed hash, whose key never leaves the user's state folder. `lab
publish` does not copy that proof, so no package has it.
"""

from __future__ import annotations

import contextlib
import hmac
import json
import os
import secrets
import shlex
import tempfile
from collections.abc import Iterable
from pathlib import Path

from lab.core import files
from lab.core.errors import ResultsError, UsageError
from lab.planning import registry
from lab.worker import user_function

PROOF = "plan.mac"
KEY_BYTES = 32
OTHERS = 0o077


def prove(folder: Path, workloads: Iterable[str]) -> None:
    """Write into a new run the proof that this user created it with these workloads.

    Without a state folder that only this user can read there is no proof, and the run's functions
    cannot be called again from it. A run of registered workloads needs none.
    """
    functions = _functions(workloads)
    if functions and (key := _key() or _new_key()):
        (folder / PROOF).write_text(_digest(key, folder, functions), encoding="ascii")


def check(folder: Path, workloads: Iterable[str], named: str, again: str) -> None:
    """Refuse the functions of a run that may not be called.

    Args:
        folder: The run or the published package.
        workloads: The workloads of its trials that are about to run.
        named: The workload that the command line names, as `own_task.name_of` makes it.
        again: The command that repeats them, for the message.

    Raises:
        UnknownNameError: A workload is neither registered nor a function.
        UsageError: A function is not this user's, or is not named on the command line.
    """
    functions = _functions(workloads)
    for function in functions:
        if not user_function.is_own(function):
            registry.workload(function)
    if not functions:
        return
    if not _is_proved(folder, functions):
        raise UsageError(
            f"{folder} names the function {_shown(functions[0])} as its workload, and bears no "
            "proof that you created it on this machine: results never choose code. "
            "To measure a function that you trust, type: lab bench --task MODULE:FUNCTION"
        )
    if functions != [named]:
        raise UsageError(
            f"{folder} measures your function {_shown(functions[0])}, which is called only when it "
            f"is named again. Type: {command(again, functions)}"
        )


def command(words: str, workloads: Iterable[str]) -> str:
    """Return a command that runs trials again, with the options that name their function."""
    functions = _functions(workloads)
    return " ".join([words, *map(user_function.options_of, functions)])


def _shown(workload: str) -> str:
    return shlex.quote(workload)


def _functions(workloads: Iterable[str]) -> list[str]:
    return sorted(set(workloads) - registry.workload_names())


def _is_proved(folder: Path, functions: list[str]) -> bool:
    key = _key()
    with contextlib.suppress(OSError, ResultsError, ValueError):
        proof = files.read(folder / PROOF, folder).decode("ascii") if key else ""
        return bool(key) and hmac.compare_digest(proof, _digest(key or b"", folder, functions))
    return False


def _digest(key: bytes, folder: Path, functions: list[str]) -> str:
    text = json.dumps([folder.resolve().name, functions])
    return hmac.digest(key, text.encode(), "sha256").hex()


def _key_file() -> Path:
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "background-task-lab" / "key"


def _key() -> bytes | None:
    """Read the key; None where there is none that only this user can read."""
    try:
        descriptor = os.open(_key_file(), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except (OSError, RuntimeError):  # no such file, or no home folder
        return None
    with os.fdopen(descriptor, "rb") as file:
        about = os.fstat(descriptor)
        if about.st_uid != os.geteuid() or about.st_mode & OTHERS:
            return None
        key = file.read(KEY_BYTES)
    return key if len(key) == KEY_BYTES else None


def _new_key() -> bytes | None:
    """Create the key, whole or not at all: two labs may start at once."""
    with contextlib.suppress(OSError, RuntimeError):
        file = _key_file()
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=file.parent)
        try:
            with os.fdopen(descriptor, "wb") as new:
                new.write(secrets.token_bytes(KEY_BYTES))
            with contextlib.suppress(FileExistsError):
                os.link(temporary, file)
        finally:
            Path(temporary).unlink()
    return _key()
