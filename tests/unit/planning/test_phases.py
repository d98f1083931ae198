"""Tests of the phases: their numbers in the journal, their ids, and that no other list exists."""

from __future__ import annotations

import ast
from itertools import pairwise
from pathlib import Path

from lab.driver.driver import PHASES, Driver
from lab.planning.phases import OFFERING, UNINSTRUMENTED, Phase
from lab.results.schema.task import SubmitRow, TaskRow
from lab.worker.ledger import NO_RECORD

LAB = Path(__file__).parents[3] / "lab"


def test_the_numbers_in_the_journal_do_not_change() -> None:
    """They are words of a file, so a new phase gets the next number."""
    assert {str(phase): phase.number for phase in OFFERING} == {
        "verify": 0,
        "warm_up": 1,
        "measure": 2,
        "unrecorded": 3,
        "repeated": 4,
    }


def test_the_ids_of_the_phases_are_apart_and_recorded() -> None:
    """Each id belongs to one phase; the ids without a record follow the last one."""
    for phase, following in pairwise(OFFERING):
        assert phase.ids.stop == following.first_task
    assert OFFERING[0].first_task == 0
    assert OFFERING[-1].ids.stop == NO_RECORD


def test_the_driver_has_a_method_for_each_phase() -> None:
    """The driver runs the phases in their order; one of them is a part of the one before it."""
    assert set(Phase) - set(PHASES) == {Phase.REPEATED}
    assert all(callable(getattr(Driver, phase)) for phase in PHASES)
    assert set(UNINSTRUMENTED) < set(OFFERING)


def test_the_tables_describe_each_phase() -> None:
    """The descriptions of the columns `phase` list the phases that offer tasks."""
    for row in (TaskRow, SubmitRow):
        about = row.__dataclass_fields__["phase"].metadata["about"]
        assert all(phase in about for phase in OFFERING), about


def test_no_other_code_writes_the_name_of_a_phase() -> None:
    """A comparison with a text is not checked by the type checker, and would outlive a renaming."""
    compared = {
        f"{file.relative_to(LAB)}:{node.lineno}"
        for file in LAB.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Compare)
        for side in (node.left, *node.comparators)
        if isinstance(side, ast.Constant) and side.value in {str(phase) for phase in OFFERING}
    }
    assert compared == set()
