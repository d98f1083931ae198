"""Tests README.md: its matrix of faults is that of the package, and it has at most 900 words."""

from __future__ import annotations

import itertools
import re

from lab.analysis.labels import REFERENCE
from lab.planning import registry
from lab.report.fault_results import ORDERED
from lab.report.fault_texts import sentence
from lab.report.faults import matrix
from lab.report.run_tables import RunTables
from tests.factories.campaigns import SMALL, campaign
from tests.factories.faults import BROKEN, LOST, OK, RECOVERED, SKIPPED, with_faults
from tests.factories.scripts import script

fault_matrix = script(".ci/fault_matrix.py")
MOST_WORDS = 900


def test_the_readme_has_the_matrix_of_the_reference() -> None:
    """To write it: PYTHONPATH=. python .ci/fault_matrix.py.

    It counts the systems as the page of the package does: one that ran on two providers is one.
    """
    tables = RunTables(fault_matrix.ROOT / fault_matrix.PACKAGE)
    squares = matrix(tables)
    assert squares
    text = fault_matrix.block(tables, squares)
    assert text in fault_matrix.PAGE.read_text(encoding="utf-8")
    (counted,) = re.findall(r"Faults: (\d+ of \d+ systems lost tasks)", sentence(squares))
    assert f"Under faults, {counted}" in text


def test_a_row_has_the_results_of_both_providers() -> None:
    """One sign if they are equal; a skip has none, and the control is not survived."""
    local = {("rq", "none"): OK, ("rq", "child-kill"): LOST, ("rq", "worker-kill"): RECOVERED}
    local |= {("thread-pool", "none"): OK, ("thread-pool", "broker-kill"): SKIPPED}
    inside = {("rq", "child-kill"): LOST, ("rq", "worker-kill"): OK, ("rq", "broker-kill"): BROKEN}
    tables = with_faults(campaign(SMALL), local)
    tables = with_faults(tables, inside, provider="compose")
    text = fault_matrix.block(tables, matrix(tables))
    assert "0 of 856 tasks were lost, stuck or run twice while nothing failed (`none`)." in text
    assert (
        "Under faults, 1 of 1 system lost tasks or ran them twice: 1 lost tasks silently." in text
    )
    assert "Half of the signs stand for 428 tasks or more" in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert rows == [
        "| system | server | survived | `none` | `child-kill` | `worker-kill` | `broker-kill` |",
        "|---|---|---|---|---|---|---|",
        "| `rq[worker]@default` | Redis | 8 of 16 | ✓ | ✖ | ↻ / ✓ | - |",
        "| `thread-pool[executor]@default` | none |  | ✓ |  |  |  |",
    ]
    assert "✖ lost; ↻ recovered; ✓ ok; - failed; empty: skipped" in text
    assert (
        "So ↻ / ✓ of `rq[worker]@default` under `worker-kill` is: recovered in processes, ok in "
        "containers." in text
    )


def test_a_run_without_faults_has_an_empty_matrix() -> None:
    """The markers remain, so that the next run of the script finds them."""
    text = fault_matrix.block(campaign(SMALL), matrix(campaign(SMALL)))
    assert text == f"{fault_matrix.BEGIN}\n\n{fault_matrix.END}"


def test_each_word_of_a_square_is_explained() -> None:
    """The matrix links to the table of the words."""
    page, _, anchor = fault_matrix.WORDS.partition("#")
    lines = (fault_matrix.ROOT / page).read_text(encoding="utf-8").splitlines()
    (start,) = (n for n, line in enumerate(lines) if line.lower().replace(" ", "-")[3:] == anchor)
    rows = itertools.takewhile(lambda line: not line.startswith("## "), lines[start + 1 :])
    cells = [line.split(" | ")[0].removeprefix("| ") for line in rows if line.startswith("| ")]
    explained = [word for cell in cells for word in (cell, *cell.split(", "))]
    # A recovery has its delay beside the word.
    missing = [r.word for r in ORDERED if not any(e.startswith(r.word) for e in explained)]
    assert missing == []


def test_the_readme_names_every_system() -> None:
    """One that is left out of the presets too."""
    text = fault_matrix.PAGE.read_text(encoding="utf-8")
    systems = [name for name, b in registry.backends().items() if b.family != REFERENCE]
    assert [name for name in systems if f"`{name}`" not in text] == []


def test_the_readme_is_short() -> None:
    """Words outside the generated matrix; a bar of a table is none."""
    text = fault_matrix.PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(fault_matrix.BEGIN)
    words = re.findall(r"\S*\w\S*", before + rest.partition(fault_matrix.END)[2])
    assert len(words) <= MOST_WORDS
