"""Any file of a run, however it was spoilt, is a sentence or a right answer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.results.store import Store
from tests.unit.results.fuzz_readers import READERS
from tests.unit.results.fuzzer import Fuzzer, Reader, fuzzer

SEED, EXAMPLES, SLOW_EXAMPLES = 14, 5, 2
SLOW = ("report", "publish")


@pytest.fixture(scope="module")
def fuzz(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fuzzer]:
    """A small finished run, and what spoils copies of it."""
    with fuzzer(tmp_path_factory.mktemp("fuzz")) as made:
        yield made


@pytest.mark.defect
@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.__name__)
def test_no_spoilt_run_ends_in_a_traceback(fuzz: Fuzzer, reader: Reader) -> None:
    """The same few examples each time; `python -m tests.unit.results.fuzz_readers` tries others."""
    name = reader.__name__
    fuzz.run(reader, READERS[reader], SEED, SLOW_EXAMPLES if name in SLOW else EXAMPLES)
    assert not fuzz.wrong, "\n".join(fuzz.wrong.values())
    assert fuzz.examples[name] >= SLOW_EXAMPLES


def test_the_run_that_is_spoilt_is_sound(fuzz: Fuzzer) -> None:
    """Without a change, every reader answers: what is refused is refused for the change."""
    for run in sorted((fuzz.folder / "base" / "runs").iterdir()):
        Store(run).check()
        assert len(Store(run).read("task")) > 0


@pytest.mark.defect
def test_a_wrong_answer_is_noticed(fuzz: Fuzzer) -> None:
    """A traceback, and a file outside that changes, are kept with their example."""

    def broken(run: Path) -> None:
        (run.parents[2] / "outside" / "new").touch()
        raise ZeroDivisionError

    fuzz.example(broken, [])
    assert sorted(fuzz.wrong) == ["ZeroDivisionError at ", "outside"]
    fuzz.wrong.clear()
    (fuzz.outside / "new").unlink()
