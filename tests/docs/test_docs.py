"""Tests the pages of docs/: examples run, links lead somewhere, cited rules are explained."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from lab.core.faults import FaultKind
from lab.core.model import Burst
from lab.planning import registry
from tests.factories.trials import call_it_quiet, run, spec_of

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [*sorted(DOCS.glob("*.md")), *sorted(ROOT.glob("*.md"))]
CITING = [
    file
    for place in ("lab", "tests", "benchmarks", "workloads", "compose", "docs", ".ci", ".")
    for file in (ROOT / place).glob("*.*" if place == "." else "**/*.*")
    if file.suffix in {".py", ".md", ".yaml", ".j2"} and "vendor" not in file.parts
]


def snippets(name: str) -> list[str]:
    """Return the Python code that a document shows to be run; a ``py`` block is a part of one."""
    text = (DOCS / f"{name}.md").read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


@pytest.fixture
def shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both examples, installed as a package of a reader's would be, by their names in docs/."""
    package = tmp_path / "package"
    about = package / "shown-1.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: shown\nVersion: 1\n")
    (about / "entry_points.txt").write_text(
        "[lab.backends]\nexample = shown_backend:Example\n[lab.workloads]\nsort = shown_workload\n"
    )
    for kind in ("backend", "workload"):
        (code,) = snippets(f"add-a-{kind}")
        (package / f"shown_{kind}.py").write_text(code)
    monkeypatch.syspath_prepend(str(package))
    monkeypatch.setenv("PYTHONPATH", str(package), prepend=os.pathsep)
    registry.refresh()
    return "example"


@pytest.fixture(autouse=True)
def _registry_as_it_was() -> object:
    yield
    registry.refresh()


def test_the_examples_of_adapter_and_workload_run_as_they_stand(shown: str, tmp_path: Path) -> None:
    """Copied from the document, the adapter runs the workload, and every answer is right."""
    row = run(tmp_path, spec_of(shown, "sort", Burst(50), size=100)).row
    assert (row.status, row.reason) == ("ok", "")
    assert (row.n_done, row.n_wrong_answer) == (50, 0)
    _, module = registry.workload("sort")
    assert_complete(module)


def assert_complete(module: ModuleType) -> None:
    """The example has each part that the table names, except for the optional one."""
    text = (DOCS / "add-a-workload.md").read_text(encoding="utf-8")
    table = re.findall(r"^\| (`.*?) \| ", text, re.MULTILINE)
    named = set(re.findall(r"`(\w+)", " ".join(table)))
    has = {name for name in vars(module) if not name.startswith("__")} - {"random"}
    assert named - has == {"seen"}
    assert has <= named


@pytest.mark.slow  # it makes a run
def test_every_line_that_reads_results_runs(tmp_path: Path) -> None:
    """One after the other, on a run that the command line just made."""
    chosen = ("-b", "inline", "-b", "thread-pool", "-w", "noop", "--provider", "local")
    size = ("--blocks", "1", "--tasks", "30", "--cores", "1", "--allow-disturbed")
    command = [sys.executable, "-m", "lab.cli", "bench", *chosen, *size]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=True)
    (run_folder,) = (tmp_path / "results" / "runs").iterdir()
    call_it_quiet(run_folder)
    program = "\n".join(snippets("read-the-results"))
    command = [sys.executable, "-W", "error", "-c", program]
    printed = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert printed.returncode == 0, printed.stderr
    assert "throughput_per_s" in printed.stdout
    assert "inline[call]@default / queue[simple-queue]@default" in printed.stdout


def anchors(document: Path) -> list[str]:
    """Return the ids that links to a document may name: explicit anchors, and those of headings."""
    text = document.read_text(encoding="utf-8")
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    slugs = [re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings]
    return [*re.findall(r'<a id="([^"]+)"></a>', text), *slugs]


def test_every_fault_is_explained() -> None:
    """The page of faults says of each kind what happens."""
    text = (DOCS / "faults.md").read_text(encoding="utf-8")
    table = text.partition("## What each fault does")[2].partition("\n## ")[0]
    assert re.findall(r"^\| ([a-z-]+) \|", table, re.MULTILINE) == ["fault", *FaultKind]


def test_every_rule_that_is_cited_has_an_anchor() -> None:
    """`METHOD M22` in code, tests or docs leads to `docs/method.md#m22`, and to one place only."""
    cited = {
        rule.lower()
        for file in CITING
        for rule in re.findall(r"\b(?:M\d+|KAT-\d+|B\d)\b", file.read_text(encoding="utf-8"))
    }
    explained = anchors(DOCS / "method.md")
    assert {"m22", "kat-7", "b5"} <= cited
    assert cited - set(explained) == set()
    assert len(explained) == len(set(explained))


def test_no_document_outside_the_repository_is_cited() -> None:
    """A citation names a rule by its number, which a reader can look up."""
    outside = re.compile(
        r"METHOD (?![MB]\d)|\b(?:DESIGN|HOUSE|ANCHORS|PRIOR-ART|FAULTS(?:\.md| rule| \d))"
    )
    cited = {
        f"{file.relative_to(ROOT)}: {match[0]}"
        for file in CITING
        if file != Path(__file__)
        for match in outside.finditer(file.read_text(encoding="utf-8"))
    }
    assert cited == set()


@pytest.mark.parametrize("document", PAGES, ids=lambda file: file.stem)
def test_links_lead_somewhere(document: Path) -> None:
    """A link to a file of the lab names one that is there."""
    text = document.read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text)
    named = re.findall(r"`((?:lab|tests|workloads|docs|results)/[\w./-]+)`", text)
    gone = [link for link in links if not (document.parent / link).exists()]
    gone += [name for name in named if not (ROOT / name).exists()]
    assert [g for g in gone if "the_system" not in g] == []


@pytest.mark.parametrize("document", PAGES, ids=lambda file: file.stem)
def test_links_to_anchors_lead_somewhere(document: Path) -> None:
    """A link to a part of a document names an anchor or a heading of it."""
    text = document.read_text(encoding="utf-8")
    gone = [
        f"{name}#{anchor}"
        for name, anchor in re.findall(r"\]\(([^)#:]*)#([^)]+)\)", text)
        if anchor not in anchors(document.parent / name if name else document)
    ]
    assert gone == []
