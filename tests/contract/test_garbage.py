"""Tests that damaged files in a trial's folder never end a campaign: the trial becomes a row."""

from __future__ import annotations

import json
import os
import shutil
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from lab.analysis import compute
from lab.core.model import Arrival, Burst, Flag, Paced, Periodic
from lab.planning import phases
from lab.recording.driver_status import read_status
from lab.recording.ledger_reader import MAX_HOLE, PART_BYTES, read
from lab.results.store import Store
from lab.running import trial
from lab.validation.trial_files import right_answers
from lab.validation.trial_row import collect
from lab.worker.ledger import FIRST_ROWS, MAGIC, ROW_BYTES, WORDS
from tests.factories.trials import CONTEXT, spec_of

S = 1_000_000_000
# Without shrinking, because an example takes seconds.
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)
N = 60
FIRST_TASKS = [phase.first_task for phase in phases.OFFERING[:3]]
ARRIVALS: Sequence[Arrival] = (Burst(N), Paced(N, 100.0), Periodic(2, 3, every_s=1.0))
WORD = (
    st.integers(0, 5)
    | st.integers(-(2**63), 2**63 - 1)
    | st.sampled_from([0, 1, -1, 2**63 - 1, -(2**63), *FIRST_TASKS])
    | st.integers(100 * S, 110 * S)
)
RIGHT = right_answers(spec_of("thread-pool", arrival=Burst(N))) or {}
HEADER = struct.pack("8q", MAGIC, 7, 0, 0, 0, FIRST_ROWS, 50 * S, 1)


def record(n: int, journal: bool) -> list[tuple[int, ...]]:
    """Return valid rows of a window: of the journal, or of a worker's ledger."""
    rows: list[tuple[int, ...]] = []
    for k in range(n):
        t0 = 100 * S + k * 10_000_000
        task = phases.Phase.MEASURE.first_task + k
        rows.append(
            (task, 2, t0, t0 + 1_000, t0 + 2_000, 0, 1, k + 1)
            if journal
            else (task, 9, t0 + 3_000, t0 + 4_000, RIGHT[task], 0, 0, k + 1)
        )
    return rows


@st.composite
def contents(draw: st.DrawFn, *, journal: bool) -> bytes:
    """Draw a ledger file with arbitrary words, rows, or bytes."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=300))
    words = [word for row in record(N, journal) for word in row]
    for place, word in draw(st.lists(st.tuples(st.integers(0, len(words) - 1), WORD), max_size=12)):
        words[place] = word
    rows = draw(st.lists(st.lists(WORD, min_size=WORDS, max_size=WORDS), max_size=4))
    words += [word for row in rows for word in row]
    data = HEADER + struct.pack(f"{len(words)}q", *words)
    return data[: draw(st.integers(0, len(data)))] if draw(st.booleans()) else data


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
STATUS = {
    "status": "ok",
    "reason": "",
    "phases": [["boot", 90 * S], ["quiet", 99 * S], ["measure", 100 * S]],
    "t_begin_ns": 100 * S,
    "t_end_ns": 101 * S,
    "wall": [[100 * S, 5, 100 * S], [101 * S, S + 5, 101 * S]],
    "samples": [
        {
            "t_ns": 100 * S + k,
            "source": "ledger",
            "metric": "in_system",
            "value": 1.0,
            "unit": "tasks",
        }
        for k in range(5)
    ],
    "settings": {},
    "plan_hash": "0" * 16,
    "start_call_ns": 5,
}
STATUSES = st.one_of(
    st.binary(max_size=40),
    st.dictionaries(st.sampled_from(list(STATUS)), JSON, max_size=3).map(
        lambda changes: json.dumps(STATUS | changes).encode()
    ),
    st.sets(st.sampled_from(list(STATUS))).map(
        lambda keys: json.dumps({k: v for k, v in STATUS.items() if k not in keys}).encode()
    ),
)


def row_of(folder: Path, arrival: Arrival, files: dict[str, bytes]) -> Any:
    """Write a trial's folder; return its row and derive its metrics, like a resumed campaign."""
    shutil.rmtree(folder, ignore_errors=True)
    store = Store(folder / "run")
    spec = spec_of("thread-pool", arrival=arrival)
    place = store.trial_folder(spec.id, 1)
    for name, data in files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(data)
    result = collect(trial.killed(spec, 1, place), CONTEXT)
    for table, rows in result.tables.items():
        store.write_parquet(place, table, rows)
    store.append(result.row)
    compute.compute(store)
    faults = store.read("metric").method.str.contains("fault of the lab")
    assert not faults.any(), store.read("metric").method[faults].tolist()
    return result.row


@settings(max_examples=10, deadline=None, phases=PHASES)
@given(
    arrival=st.sampled_from(ARRIVALS),
    journal=contents(journal=True),
    ledger=contents(journal=False),
    status=STATUSES,
)
def test_damaged_files_give_a_row(
    tmp_path_factory: pytest.TempPathFactory,
    arrival: Arrival,
    journal: bytes,
    ledger: bytes,
    status: bytes,
) -> None:
    """No content of a ledger, a journal or a status file raises an error."""
    folder = tmp_path_factory.getbasetemp() / "garbage"
    files = {"intents.bin": journal, "ledger/0-0-7-0.bin": ledger, "status.json": status}
    row = row_of(folder, arrival, files)
    # Failed, if a file in the ledger's folder is not a ledger.
    assert row.status in ("interrupted", "failed")
    assert row.n_planned == arrival.n_tasks


def packed(rows: Sequence[Sequence[int]]) -> bytes:
    """Return a ledger file with these rows."""
    return HEADER + b"".join(struct.pack("8q", *row) for row in rows)


def test_execution_without_an_offer_is_counted_and_stored(tmp_path: Path) -> None:
    """It makes the trial invalid, and does not change the type of a column."""
    foreign = (phases.Phase.MEASURE.first_task + 999, 9, 100 * S, 100 * S + 1, 0, 0, 0, 1)
    files = {
        "intents.bin": packed(record(N, journal=True)),
        "ledger/0-0-7-0.bin": packed([*record(N, journal=False), foreign]),
        "status.json": json.dumps(STATUS).encode(),
    }
    row = row_of(tmp_path, Burst(N), files)
    assert (row.n_done, row.n_unexpected, row.flag) == (N, 1, Flag.INVALID)
    store = Store(tmp_path / "run")
    outcomes = store.read("outcome", store.trial_folder(row.trial_id, 1))
    assert outcomes.outcome.value_counts().to_dict() == {"ok": N, "unexpected": 1}
    tasks = store.read("task", store.trial_folder(row.trial_id, 1))
    assert tasks[tasks.t0_ns.isna()].task_id.tolist() == [foreign[0]]


@pytest.mark.parametrize("instant", [-5, 2**62, 2**63 - 1])
def test_impossible_instant_makes_the_trial_invalid(tmp_path: Path, instant: int) -> None:
    """It counts as a negative duration, and never as a latency."""
    rows = record(N, journal=False)
    rows[3] = (*rows[3][:2], instant, *rows[3][3:])
    files = {
        "intents.bin": packed(record(N, journal=True)),
        "ledger/0-0-7-0.bin": packed(rows),
    }
    row = row_of(tmp_path, Burst(N), files)
    assert row.n_negative == 1
    assert row.flag == Flag.INVALID


def link(path: Path) -> None:
    """Create a link to a file of the user."""
    secret = path.parent.parent / "secret"
    secret.write_bytes(packed(record(N, journal=False)))
    path.symlink_to(secret)


def sparse(path: Path) -> None:
    """Create a sparse file of 40 GB."""
    with path.open("wb") as file:
        file.write(HEADER)
        file.truncate(40 << 30)


KINDS: dict[str, Callable[[Path], object]] = {
    "fifo": os.mkfifo,
    "link": link,
    "folder": Path.mkdir,
    "sparse": sparse,
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["ledger/x.bin", "intents.bin", "status.json"])
def test_only_regular_files_of_plausible_size_are_read(
    tmp_path: Path, kind: str, name: str
) -> None:
    """A FIFO would block, a link would expose a private file, a sparse file would fill memory."""
    spec = spec_of("thread-pool", arrival=Burst(N))
    place = tmp_path / "run" / "trials" / f"{spec.id}-1"
    (place / "ledger").mkdir(parents=True)
    KINDS[kind](place / name)
    row = collect(trial.killed(spec, 1, place), CONTEXT).row
    assert row.n_done == 0
    if name == "status.json":
        assert "status.json is damaged" in read_status(place)["reason"]
    elif name.startswith("ledger"):
        assert row.reason == "A task wrote into the ledger's folder: x.bin."


def test_deeply_nested_status_is_damaged(tmp_path: Path) -> None:
    """Python's JSON parser raises a RecursionError."""
    (tmp_path / "status.json").write_text("[" * 200_000)
    assert "nested too deeply" in read_status(tmp_path)["reason"]


def test_ledger_is_read_in_parts(tmp_path: Path) -> None:
    """Rows after the first part of a large file are read; a long hole ends the file."""
    n = 2 * PART_BYTES // ROW_BYTES + 5
    path = tmp_path / "x.bin"
    rows = [(k, 1, 1, 1, 1, 1, 1, 1) for k in range(n)]
    path.write_bytes(
        packed(rows) + bytes((MAX_HOLE + 1) * ROW_BYTES) + packed(rows[:1])[ROW_BYTES:]
    )
    assert list(read(path)[1]) == rows
