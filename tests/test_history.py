"""Results over commits: what asv is given, what it shows, and that its pages need no network."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import asv.results
import pytest

from lab.history import offline
from lab.history.export import export
from lab.history.suite import AXES, benchmarks
from lab.presets import QUICK
from tests import synthetic

ROOT = Path(__file__).parents[1]
SLOWED = "thread-pool"
COMMITS = 6
STEP_AT = 3
BURST, PACED = (next(c.arrival for c in QUICK if c.arrival.kind == k) for k in ("burst", "paced"))
SMALL = synthetic.Campaign(
    blocks=7,
    systems=[s for s in synthetic.SYSTEMS if s.backend in {"inline", SLOWED}],
    workloads=("noop",),
    rates_hz=(getattr(PACED, "rate_hz", 50.0),),
    paced_tasks=70,
)


def git(repository: Path, *arguments: str) -> str:
    """Run git and return what it prints."""
    who = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    command = ["git", "-C", str(repository), *who, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of real commits with a run for each; from one on, a system costs 60 % more."""
    folder = tmp_path_factory.mktemp("repository")
    git(folder, "init", "-q", "-b", "main")
    (folder / "asv.conf.json").write_text((ROOT / "asv.conf.json").read_text())
    (folder / "lab").symlink_to(ROOT / "lab")
    (folder / "benchmarks").mkdir()
    (folder / ".gitignore").write_text("results\nlab\n")
    git(folder, "add", ".")
    for number in range(COMMITS):
        day = f"2026-11-{number + 1:02d}T12:00:00+00:00"
        git(folder, "commit", "-q", "--allow-empty", "-m", f"commit {number}", "--date", day)
        factor = 1.6 if number >= STEP_AT else 1.0
        systems = [
            replace(s, cost_s=s.cost_s * (factor if s.backend == SLOWED else 1.0))
            for s in SMALL.systems
        ]
        tables = dict(synthetic.campaign.__wrapped__(replace(SMALL, systems=systems, seed=number)))
        commit = git(folder, "rev-parse", "HEAD")
        tables["campaign"] = tables["campaign"].assign(git_commit=commit, git_dirty="0")
        synthetic.write(tables, folder / "results" / "runs" / f"run{number}")
    return folder


def run_asv(repository: Path, *arguments: str) -> str:
    """Run asv where its configuration lies; what it prints on both streams is returned."""
    command = [sys.executable, "-m", "asv", *arguments]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False)
    told = done.stdout + done.stderr
    assert done.returncode == 0, told
    return told


def test_a_file_is_written_for_each_commit_and_asv_reads_it(repository: Path) -> None:
    """The reader of asv itself takes every file; a sample is a trial; a second export is equal."""
    exported = export(repository / "results", repository)
    assert not exported.refused
    files = [file for file in exported.files if re.match(r"[0-9a-f]{8}-local", file.name)]
    assert len(files) == COMMITS == len({file.name[:8] for file in files})
    for file in files:
        loaded = asv.results.Results.load(str(file))
        name = next(n for n in loaded.get_all_result_keys() if "NoopBurst" in n)
        described = json.loads((repository / "results/asv/benchmarks.json").read_text())[name]
        samples = loaded.get_result_samples(name, described["params"])
        assert {len(s) for s in samples if s} == {SMALL.blocks} or any(s is None for s in samples)
    again = export(repository / "results", repository)
    assert [file.read_bytes() for file in again.files] == [f.read_bytes() for f in exported.files]


def test_a_run_that_belongs_to_no_commit_is_left_out_with_its_reason(
    repository: Path, tmp_path: Path
) -> None:
    """A dirty tree, no checkout, and a commit that is not here: three sentences, no file."""
    known = git(repository, "rev-parse", "HEAD")
    for name, commit, dirty in (("a", known, "1"), ("b", "", ""), ("c", "f" * 40, "0")):
        tables = dict(synthetic.campaign.__wrapped__(replace(SMALL, blocks=1)))
        tables["campaign"] = tables["campaign"].assign(git_commit=commit, git_dirty=dirty)
        synthetic.write(tables, tmp_path / "runs" / name)
    exported = export(tmp_path, repository)
    assert exported.files == ()
    assert "files differed from the commit" in exported.refused["a"]
    assert "not measured in a checkout" in exported.refused["b"]
    assert "commit ffffffff is not in this repository" in exported.refused["c"]


def test_failed_and_not_run_are_told_apart(repository: Path, tmp_path: Path) -> None:
    """A cell whose trials failed is null, one that nobody ran is NaN."""
    commit = git(repository, "rev-parse", "HEAD")
    plan = replace(SMALL, cores=(1, 2), failed=(f"{SLOWED}[pool]@default",))
    tables = dict(synthetic.campaign.__wrapped__(plan))
    tables["campaign"] = tables["campaign"].assign(git_commit=commit, git_dirty="0")
    synthetic.write(tables, tmp_path / "runs" / "run")
    files = export(tmp_path, repository).files
    results = json.loads(files[-1].read_text())["results"][
        "costs.NoopBurst.track_worker_s_per_task"
    ]
    values = results[0]
    assert values.count(None) == 2  # thread-pool on one core and on two
    assert sum(v is not None and v != v for v in values) == 1  # inline on two cores  # noqa: PLR0124


def test_asv_shows_the_step(repository: Path) -> None:
    """Publish, show, compare and rm work on what was exported; the slowdown is marked."""
    export(repository / "results", repository)
    run_asv(repository, "publish")
    before, after = (git(repository, "rev-parse", f"HEAD~{n}") for n in (COMMITS - STEP_AT, 0))
    compared = run_asv(repository, "compare", before, after)
    rows = [line for line in compared.splitlines() if "worker_s_per_task" in line]
    assert [line for line in rows if SLOWED in line and line.startswith("| +")]
    assert not [line for line in rows if "inline" in line and line.startswith("| +")]
    assert "costs.NoopBurst.track_worker_s_per_task" in run_asv(repository, "show", after)
    run_asv(repository, "rm", "-y", f"commit_hash={after}")
    assert not list((repository / "results/asv").rglob(f"{after[:8]}-*.json"))


def test_the_pages_ask_nobody_else(repository: Path) -> None:
    """No script, style or picture comes from another host, and each that is wanted is there."""
    export(repository / "results", repository)
    run_asv(repository, "publish")
    pages = repository / "results/asv-html"
    text = (pages / "index.html").read_text(encoding="utf-8")
    wanted = re.findall(r'(?:src|href)="(vendor/[^"]+)"', text)
    assert len(wanted) >= 10
    assert all((pages / name).is_file() for name in wanted)
    loaded = r"""<(?:script|link|img)\b[^>]*(?:src|href)=["']?(?:https?:)?//"""
    assert not re.findall(loaded, text)
    with pytest.raises(FileNotFoundError, match="wants new.js"):
        offline.localised('<script src="https://example.org/new.js"></script>')
    assert {file.stem for file in (offline.VENDOR / "licences").iterdir()}


def test_the_suite_has_one_name_for_each_cost_and_no_rate() -> None:
    """Names are unique, versions are set by hand, and more is never better."""
    from lab.metrics import METRICS

    suite = list(benchmarks())
    assert len({b.name for b in suite}) == len(suite) > 5
    assert len({b.title for b in suite}) == len(suite)
    assert {METRICS[b.metric].better for b in suite} == {"lower"}
    assert AXES == ("backend", "cores", "nodes")
