"""Tests which tasks the ledger records as raised, and which as cancelled."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.recording.ledger_reader import executions
from lab.worker import execution, ledger

RAISES = f"{__name__}:raises"


def raises(error: type[BaseException]) -> None:
    """Raise an exception in a task."""
    raise error


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (ValueError, ledger.RAISED),
        # A worker that ends interrupts its tasks so: they have not failed, and may run again.
        (KeyboardInterrupt, ledger.CANCELLED),
        (SystemExit, ledger.CANCELLED),
    ],
)
def test_an_interrupted_task_has_not_raised(
    error: type[BaseException], outcome: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The backend gets the exception, and a file beside the ledger has it."""
    for name, value in {"LEDGER": str(tmp_path), "NODE": "0", "SLOT": "0"}.items():
        monkeypatch.setenv(f"LAB_{name}", value)
    monkeypatch.setitem(execution._functions, RAISES, raises)
    ledger._forget()
    with pytest.raises(error):
        execution.execute(1, RAISES, error)
    ledger._forget()
    ((_, records),) = map(executions, tmp_path.glob("*.bin"))
    assert [record.outcome for record in records] == [outcome]
    assert len([*tmp_path.glob("*.error")]) == 1
