"""Tests that a run with corrupted files gives an error message or a right answer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.results.store import Store
from tests.conftest import once
from tests.factories import finished_run
from tests.unit.results.fuzz_readers import READERS
from tests.unit.results.fuzzer import Fuzzer, Reader, fuzzer

SEED, EXAMPLES, SLOW_EXAMPLES = 14, 5, 2
SLOW = ("report", "publish")


@pytest.fixture(scope="module")
def fuzz(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fuzzer]:
    """A fuzzer of a small finished run."""
    source = once(tmp_path_factory, "finished", finished_run.write)
    with fuzzer(tmp_path_factory.mktemp("fuzz"), source) as instance:
        yield instance


@pytest.mark.defect
@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.__name__)
def test_corrupted_run_raises_no_unexpected_error(fuzz: Fuzzer, reader: Reader) -> None:
    """A few fixed examples; `python -m tests.unit.results.fuzz_readers` runs random ones."""
    name = reader.__name__
    fuzz.run(reader, READERS[reader], SEED, SLOW_EXAMPLES if name in SLOW else EXAMPLES)
    assert not fuzz.wrong, "\n".join(fuzz.wrong.values())
    assert fuzz.examples[name] >= SLOW_EXAMPLES


def test_run_without_corruption_is_valid(fuzz: Fuzzer) -> None:
    """An error of a reader is therefore an effect of the corruption."""
    for run in sorted((fuzz.folder / "base" / "runs").iterdir()):
        Store(run).check()
        assert len(Store(run).read("task")) > 0


@pytest.mark.defect
def test_fuzzer_records_errors_and_changes_outside(fuzz: Fuzzer) -> None:
    """Each is recorded with its example."""

    def broken(run: Path) -> None:
        (run.parents[2] / "outside" / "new").touch()
        raise ZeroDivisionError

    fuzz.example(broken, [])
    assert sorted(fuzz.wrong) == ["ZeroDivisionError at ", "outside"]
    fuzz.wrong.clear()
    (fuzz.outside / "new").unlink()
