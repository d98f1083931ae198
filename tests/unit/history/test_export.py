"""Tests the export to asv: its files, its reports, and that its pages work offline."""

from __future__ import annotations

import json
import math
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path

import asv.results
import pytest

from lab.analysis.metrics.registry import METRICS
from lab.cli.main import main
from lab.core.errors import ResultsError, UsageError
from lab.history import asv_offline, machines, run_index
from lab.history.export import FEWEST_SAMPLES, export
from lab.history.suite import AXES, benchmarks, cases
from lab.planning.presets import PRESETS, QUICK
from lab.report.number_format import plural
from tests.factories import campaigns

ROOT = Path(__file__).parents[3]
SLOWED = "thread-pool"
COMMITS = 6
STEP_AT = 3
WORKER = "quick.NoopBurst.track_worker_s_per_task"
BURST, PACED = (next(c.arrival for c in QUICK if c.arrival.kind == k) for k in ("burst", "paced"))
SMALL = campaigns.Campaign(
    blocks=7,
    systems=tuple(s for s in campaigns.SYSTEMS if s.backend in {"inline", SLOWED}),
    workloads=("noop",),
    rates_hz=(getattr(PACED, "rate_hz", 50.0),),
    paced_tasks=PACED.n_tasks,
    burst_tasks=BURST.n_tasks,
)


def git(repository: Path, *arguments: str) -> str:
    """Run git and return what it prints."""
    identity = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    command = ["git", "-C", str(repository), *identity, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with a run per commit; from `STEP_AT` on, one backend costs 60 % more."""
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
        systems = tuple(
            replace(s, cost_s=s.cost_s * (factor if s.backend == SLOWED else 1.0))
            for s in SMALL.systems
        )
        tables = dict(campaigns.campaign(replace(SMALL, systems=systems, seed=number)))
        commit = git(folder, "rev-parse", "HEAD")
        tables["campaign"] = tables["campaign"].assign(git_commit=commit, git_dirty="0")
        campaigns.write(tables, folder / "results" / "runs" / f"run{number}")
    return folder


def exported(results: Path, repository: Path) -> list[Path]:
    """Export all runs."""
    return export(results, run_index.read(results, repository))


def run_of(repository: Path, folder: Path, plan: campaigns.Campaign = SMALL) -> None:
    """Write a synthetic run of the newest commit."""
    tables = dict(campaigns.campaign(plan))
    commit = git(repository, "rev-parse", "HEAD")
    tables["campaign"] = tables["campaign"].assign(git_commit=commit, git_dirty="0")
    campaigns.write(tables, folder)


def run_asv(repository: Path, *arguments: str) -> str:
    """Run asv in the folder of its configuration; return the output of both streams."""
    command = [sys.executable, "-m", "asv", *arguments]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False)
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    return output


def test_export_writes_one_file_per_commit_that_asv_reads(repository: Path) -> None:
    """The reader of asv accepts every file; a sample is a trial; a second export is identical."""
    files = exported(repository / "results", repository)
    results = [file for file in files if re.match(r"[0-9a-f]{8}-lab-local", file.name)]
    assert len(results) == COMMITS == len({file.name[:8] for file in results})
    described = json.loads((repository / "results/asv/benchmarks.json").read_text())
    for file in results:
        loaded = asv.results.Results.load(str(file))
        assert WORKER in loaded.get_all_result_keys()
        samples = loaded.get_result_samples(WORKER, described[WORKER]["params"])
        assert {len(s) for s in samples if s} == {SMALL.blocks}
    before = [file.read_bytes() for file in files]
    again = exported(repository / "results", repository)
    assert [file.read_bytes() for file in again] == before


def test_suite_runs_every_case_in_each_block() -> None:
    """A sample is a trial, and a single sample is not enough for asv."""
    assert not any(case.blocks for case in cases("quick"))


def test_standard_and_publish_have_enough_samples_for_asv() -> None:
    """With one trial per block, asv's test can detect a change in a run of these presets."""
    assert min(PRESETS[name].blocks for name in ("standard", "publish")) >= FEWEST_SAMPLES


def test_read_refuses_runs_without_a_commit_and_gives_reasons(
    repository: Path, tmp_path: Path
) -> None:
    """Refused: a dirty tree, no checkout, and a commit that is not in the repository."""
    known = git(repository, "rev-parse", "HEAD")
    for name, commit, dirty in (("a", known, "1"), ("b", "", ""), ("c", "f" * 40, "0")):
        tables = dict(campaigns.campaign(replace(SMALL, blocks=1)))
        tables["campaign"] = tables["campaign"].assign(git_commit=commit, git_dirty=dirty)
        campaigns.write(tables, tmp_path / "runs" / name)
    history = run_index.read(tmp_path, repository)
    assert export(tmp_path, history) == []
    assert "files differed from the commit" in history.refused["a"]
    assert "not measured in a Git checkout" in history.refused["b"]
    assert "commit ffffffff is not in this repository" in history.refused["c"]


def test_export_distinguishes_failed_and_missing_cells(repository: Path, tmp_path: Path) -> None:
    """A cell whose trials failed is null, a cell that was not run is NaN."""
    plan = replace(SMALL, cores=(1, 2), failed=(f"{SLOWED}[executor]@default",))
    run_of(repository, tmp_path / "runs" / "run", plan)
    values = json.loads(exported(tmp_path, repository)[-1].read_text())["results"][WORKER][0]
    assert values.count(None) == 2  # thread-pool on one core and on two
    assert sum(v is not None and math.isnan(v) for v in values) == 1  # inline on two cores


def test_export_omits_samples_below_the_minimum(repository: Path, tmp_path: Path) -> None:
    """With 6 samples per side asv detects no difference; below 7 it gets only the interval."""
    run_of(repository, tmp_path / "runs" / "run", replace(SMALL, blocks=6))
    row = json.loads(exported(tmp_path, repository)[-1].read_text())["results"][WORKER]
    value, low, high, count, samples = (row[n] for n in (0, 5, 6, 10, 11))
    assert FEWEST_SAMPLES == 7
    assert set(samples) == {None}
    assert set(count) <= {None, 5, 6}  # None: inline has one core only
    cells_with_interval = [c for c in zip(low, value, high, strict=True) if c[0] is not None]
    assert len(cells_with_interval) == 3
    assert all(a < v < b < math.inf for a, v, b in cells_with_interval)


def test_export_omits_bursts_of_another_size(repository: Path, tmp_path: Path) -> None:
    """All points of a series have the same number of tasks."""
    run_of(repository, tmp_path / "runs" / "run", replace(SMALL, burst_tasks=BURST.n_tasks + 1))
    described = json.loads(exported(tmp_path, repository)[0].read_text())
    assert any("Paced" in name for name in described)
    assert not any("Burst" in name for name in described)


def test_export_names_a_machine_by_its_hash_or_by_the_given_name(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The host name is refused; files under an old name are removed."""
    monkeypatch.setattr("platform.node", lambda: "secret.example.org")
    run_of(repository, tmp_path / "runs" / "run")
    first = exported(tmp_path, repository)[-1]
    machine = first.parent.name
    assert re.fullmatch(r"machine-[0-9a-f]{8}", machine)
    machines.give(tmp_path, machine, "labbox")
    second = exported(tmp_path, repository)[-1]
    assert second.parent.name == json.loads(second.read_text())["params"]["machine"] == "labbox"
    assert not first.exists()
    for name, message in (
        ("secret", "host's name"),
        ("../x", "not a valid machine name"),
        ("", "not a valid machine name"),
    ):
        with pytest.raises(UsageError, match=message):
            machines.give(tmp_path, machine, name)
    with pytest.raises(UsageError, match="another machine"):
        machines.give(tmp_path, "machine-00000000", "labbox")
    (tmp_path / machines.NAMES).write_text("[")
    with pytest.raises(ResultsError, match="is damaged"):
        exported(tmp_path, repository)


def test_export_replaces_the_folder_atomically(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failed export keeps the old files; a folder lost between the two renames is restored."""
    run_of(repository, tmp_path / "runs" / "run")
    files = exported(tmp_path, repository)
    with monkeypatch.context() as broken:
        broken.setattr("lab.history.export._result", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            exported(tmp_path, repository)
    assert all(file.exists() for file in files)
    (tmp_path / "asv").rename(tmp_path / "asv.old")
    foreign = tmp_path / "asv.old" / files[-1].parent.name / "0123abcd-virtualenv-py3.11.json"
    foreign.write_text("{")
    with pytest.raises(ResultsError, match=f"{foreign.name} is not a result file of asv"):
        exported(tmp_path, repository)
    content = {"env_name": "virtualenv-py3.11", "result_columns": [], "results": {}}
    foreign = tmp_path / "asv" / foreign.relative_to(tmp_path / "asv.old")
    foreign.write_text(json.dumps(content))
    exported(tmp_path, repository)
    assert foreign.exists()
    assert {path.name for path in tmp_path.iterdir()} == {"runs", "asv"}


def test_asv_commands_work_on_the_export(
    repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The commands publish, show, compare and rm succeed; compare marks the slowdown."""
    monkeypatch.chdir(repository)
    assert main(["history"]) == 0
    listed = json.loads((repository / "results/asv-html/regressions.json").read_text())
    n = plural(len(listed["regressions"]), "regression")
    assert f"asv's own pages list {n}: " in " ".join(capsys.readouterr().err.split())
    before, after = (git(repository, "rev-parse", f"HEAD~{n}") for n in (COMMITS - STEP_AT, 0))
    compared = run_asv(repository, "compare", before, after)
    rows = [line for line in compared.splitlines() if "worker_s_per_task" in line]
    assert [line for line in rows if SLOWED in line and line.startswith("| +")]
    assert not [line for line in rows if "inline" in line and line.startswith("| +")]
    assert WORKER in run_asv(repository, "show", after)
    run_asv(repository, "rm", "-y", f"commit_hash={after}")
    assert not list((repository / "results/asv").rglob(f"{after[:8]}-*.json"))


def test_serve_needs_the_random_path(repository: Path) -> None:
    """The printed address is on loopback; every address without the random path answers 404."""
    exported(repository / "results", repository)
    run_asv(repository, "publish")
    command = [sys.executable, "-m", "lab.history.serve"]
    with subprocess.Popen(command, cwd=repository, stdout=subprocess.PIPE, text=True) as serving:
        try:
            assert serving.stdout is not None
            line = serving.stdout.readline()
            (address,) = re.findall(r"http://127\.0\.0\.1:\d+/[\w-]{22}/", line)
            assert "vendor/jquery" in fetched(f"{address}index.html")
            assert WORKER in fetched(f"{address}index.json")
            root = address[: address.index("/", len("http://")) + 1]
            for other in (root, f"{root}index.html", f"{root}guess/index.html", address[:-1]):
                with pytest.raises(urllib.error.HTTPError, match="404") as refused:
                    fetched(other)
                refused.value.close()
            serving.send_signal(signal.SIGINT)
            assert serving.wait(timeout=60) == 0  # only a server that ignores it takes longer
        finally:
            serving.kill()


def fetched(address: str) -> str:
    """Return the text of a page."""
    with urllib.request.urlopen(address, timeout=5) as answer:  # noqa: S310 (a loopback address)
        return str(answer.read().decode())


def test_serve_without_pages_is_a_usage_error(tmp_path: Path) -> None:
    """The message names the command that builds the pages."""
    command = [sys.executable, "-m", "lab.history.serve", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "Run: nox -s history" in done.stderr


def test_pages_load_only_local_assets(repository: Path) -> None:
    """No script, style or image comes from another host, and every local one exists."""
    exported(repository / "results", repository)
    run_asv(repository, "publish")
    pages = repository / "results/asv-html"
    text = (pages / "index.html").read_text(encoding="utf-8")
    assets = re.findall(r'(?:src|href)="(vendor/[^"]+)"', text)
    assert len(assets) >= 10
    assert all((pages / name).is_file() for name in assets)
    foreign = r"""<(?:script|link|img)\b[^>]*(?:src|href)=["']?(?:https?:)?//"""
    assert not re.findall(foreign, text)
    with pytest.raises(FileNotFoundError, match="loads new.js"):
        asv_offline.localised('<script src="https://example.org/new.js"></script>')
    assert {file.stem for file in (asv_offline.VENDOR / "licences").iterdir()}


def test_suite_has_unique_names_and_only_costs() -> None:
    """Names and titles are unique, and lower is better for every benchmark."""
    suite = list(benchmarks())
    assert len({b.name for b in suite}) == len(suite) > 5
    assert len({b.title for b in suite}) == len(suite)
    assert {METRICS[b.metric].better for b in suite} == {"lower"}
    assert AXES == ("backend", "cores", "nodes")
