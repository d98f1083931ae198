"""Decides whether a stored run may call a user's function.

Results are data: the name of a function in them does not start it. It is called again if two
conditions are met. The command line names the same function, and the run contains a proof that
this user created it on this machine: a keyed hash, whose key never leaves the user's state folder.
`lab publish` does not copy the proof, so no published package contains it.
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
from lab.planning import commands, registry
from lab.worker import user_function

PROOF = "plan.mac"
KEY_BYTES = 32
OTHERS = 0o077


def prove(folder: Path, workloads: Iterable[str]) -> None:
    """Write the proof that this user created a new run with these workloads.

    Without a state folder that only this user can read, no proof is written, and the run's
    functions cannot be called again from it. A run with registered workloads only needs no proof.
    """
    functions = _functions(workloads)
    if functions and (key := _key() or _new_key()):
        (folder / PROOF).write_text(_digest(key, folder, functions), encoding="ascii")


def check(folder: Path, workloads: Iterable[str], named: str, again: str) -> None:
    """Check that the functions of a run may be called.

    Args:
        folder: The run or the published package.
        workloads: The workloads of its trials that are about to run.
        named: The workload on the command line, in the form of `user_function.name_of`.
        again: The command that repeats them, for the message.

    Raises:
        UnknownNameError: A workload is neither registered nor a function.
        UsageError: The run has no proof, or the command line does not name the function.
    """
    functions = _functions(workloads)
    for function in functions:
        # A name that is neither: otherwise the message would be about a missing proof.
        if not user_function.is_user_function(function):
            registry.workload(function)
    if not functions:
        return
    if not _is_proved(folder, functions):
        raise UsageError(
            f"{folder} names the function {_shown(functions[0])} as its workload, and contains no "
            "proof that you created it on this machine. Results never select code to run. "
            "To measure a function that you trust, type: lab bench --task MODULE:FUNCTION"
        )
    if functions != [named]:
        raise UsageError(
            f"{folder} measures your function {_shown(functions[0])}, which is called only if the "
            f"command names it. Type: {commands.with_function(again, functions)}"
        )


def _shown(workload: str) -> str:
    return shlex.quote(workload)


def _functions(workloads: Iterable[str]) -> list[str]:
    return sorted(set(workloads) - registry.workload_names())


def _is_proved(folder: Path, functions: list[str]) -> bool:
    key = _key()
    with contextlib.suppress(OSError, ResultsError, ValueError):
        proof = files.read(folder / PROOF, folder).decode("ascii") if key else ""
        # The time of a plain comparison would depend on how many digits agree.
        return bool(key) and hmac.compare_digest(proof, _digest(key or b"", folder, functions))
    return False


def _digest(key: bytes, folder: Path, functions: list[str]) -> str:
    # With the name of the run, so that the proof of one run is none for another.
    text = json.dumps([folder.resolve().name, functions])
    return hmac.digest(key, text.encode(), "sha256").hex()


def _key_file() -> Path:
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "background-task-lab" / "key"


def _key() -> bytes | None:
    """Read the key; None if there is no key, or if another user could read it."""
    try:
        # No link, which may lead to a file of another user; a FIFO must not block the lab for ever.
        descriptor = os.open(_key_file(), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except (OSError, RuntimeError):  # no such file, or no home folder
        return None
    with os.fdopen(descriptor, "rb") as file:
        # Of the open file: its path may lead to another one by now.
        status = os.fstat(descriptor)
        if status.st_uid != os.geteuid() or status.st_mode & OTHERS:
            return None
        key = file.read(KEY_BYTES)
    return key if len(key) == KEY_BYTES else None


def _new_key() -> bytes | None:
    """Create the key atomically, because two labs may start at once; return it."""
    with contextlib.suppress(OSError, RuntimeError):
        file = _key_file()
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=file.parent)
        try:
            with os.fdopen(descriptor, "wb") as new:
                new.write(secrets.token_bytes(KEY_BYTES))
            with contextlib.suppress(FileExistsError):
                # Unlike a rename, it does not replace a key that another lab has just created.
                os.link(temporary, file)
        finally:
            Path(temporary).unlink()
    return _key()
