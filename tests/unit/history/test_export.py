"""Results over commits: what asv is given, what it shows, and that its pages need no network."""

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
from lab.core.errors import ResultsError, UsageError
from lab.history import asv_offline, machines, run_index
from lab.history.export import FEWEST_SAMPLES, export
from lab.history.suite import AXES, benchmarks, cells
from lab.planning.presets import PRESETS, QUICK
from tests.factories import campaigns

ROOT = Path(__file__).parents[3]
SLOWED = "thread-pool"
COMMITS = 6
STEP_AT = 3
WORKER = "quick.NoopBurst.track_worker_s_per_task"
BURST, PACED = (next(c.arrival for c in QUICK if c.arrival.kind == k) for k in ("burst", "paced"))
SMALL = campaigns.Campaign(
    blocks=7,
    systems=[s for s in campaigns.SYSTEMS if s.backend in {"inline", SLOWED}],
    workloads=("noop",),
    rates_hz=(getattr(PACED, "rate_hz", 50.0),),
    paced_tasks=PACED.n_tasks,
    burst_tasks=BURST.n_tasks,
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
        tables = dict(campaigns.campaign.__wrapped__(replace(SMALL, systems=systems, seed=number)))
        commit = git(folder, "rev-parse", "HEAD")
        tables["campaign"] = tables["campaign"].assign(git_commit=commit, git_dirty="0")
        campaigns.write(tables, folder / "results" / "runs" / f"run{number}")
    return folder


def exported(results: Path, repository: Path) -> list[Path]:
    """Export all runs."""
    return export(results, run_index.read(results, repository))


def run_of(repository: Path, folder: Path, plan: campaigns.Campaign = SMALL) -> None:
    """Write a made-up run of the newest commit."""
    tables = dict(campaigns.campaign.__wrapped__(plan))
    commit = git(repository, "rev-parse", "HEAD")
    tables["campaign"] = tables["campaign"].assign(git_commit=commit, git_dirty="0")
    campaigns.write(tables, folder)


def run_asv(repository: Path, *arguments: str) -> str:
    """Run asv where its configuration lies; what it prints on both streams is returned."""
    command = [sys.executable, "-m", "asv", *arguments]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False)
    told = done.stdout + done.stderr
    assert done.returncode == 0, told
    return told


def test_a_file_is_written_for_each_commit_and_asv_reads_it(repository: Path) -> None:
    """The reader of asv itself takes every file; a sample is a trial; a second export is equal."""
    files = exported(repository / "results", repository)
    own = [file for file in files if re.match(r"[0-9a-f]{8}-lab-local", file.name)]
    assert len(own) == COMMITS == len({file.name[:8] for file in own})
    described = json.loads((repository / "results/asv/benchmarks.json").read_text())
    for file in own:
        loaded = asv.results.Results.load(str(file))
        assert WORKER in loaded.get_all_result_keys()
        samples = loaded.get_result_samples(WORKER, described[WORKER]["params"])
        assert {len(s) for s in samples if s} == {SMALL.blocks}
    before = [file.read_bytes() for file in files]
    again = exported(repository / "results", repository)
    assert [file.read_bytes() for file in again] == before


def test_what_a_preset_asks_once_the_suite_asks_in_each_block() -> None:
    """A sample is a trial, and one of them is no history."""
    assert not any(cell.once for cell in cells("quick"))


def test_what_is_measured_thoroughly_has_the_samples_that_asv_needs() -> None:
    """A trial a block: asv's test sees a change in a run of standard, and in one of publish."""
    assert min(PRESETS[name].blocks for name in ("standard", "publish")) >= FEWEST_SAMPLES


def test_a_run_that_belongs_to_no_commit_is_left_out_with_its_reason(
    repository: Path, tmp_path: Path
) -> None:
    """A dirty tree, no checkout, and a commit that is not here: three sentences, no file."""
    known = git(repository, "rev-parse", "HEAD")
    for name, commit, dirty in (("a", known, "1"), ("b", "", ""), ("c", "f" * 40, "0")):
        tables = dict(campaigns.campaign.__wrapped__(replace(SMALL, blocks=1)))
        tables["campaign"] = tables["campaign"].assign(git_commit=commit, git_dirty=dirty)
        campaigns.write(tables, tmp_path / "runs" / name)
    history = run_index.read(tmp_path, repository)
    assert export(tmp_path, history) == []
    assert "files differed from the commit" in history.refused["a"]
    assert "not measured in a Git checkout" in history.refused["b"]
    assert "commit ffffffff is not in this repository" in history.refused["c"]


def test_failed_and_not_run_are_told_apart(repository: Path, tmp_path: Path) -> None:
    """A cell whose trials failed is null, one that nobody ran is NaN."""
    plan = replace(SMALL, cores=(1, 2), failed=(f"{SLOWED}[pool]@default",))
    run_of(repository, tmp_path / "runs" / "run", plan)
    values = json.loads(exported(tmp_path, repository)[-1].read_text())["results"][WORKER][0]
    assert values.count(None) == 2  # thread-pool on one core and on two
    assert sum(v is not None and math.isnan(v) for v in values) == 1  # inline on two cores


def test_too_few_trials_are_an_interval_and_no_samples(repository: Path, tmp_path: Path) -> None:
    """At 6 and 6 samples asv sees no difference, however large: it gets none below 7."""
    run_of(repository, tmp_path / "runs" / "run", replace(SMALL, blocks=6))
    row = json.loads(exported(tmp_path, repository)[-1].read_text())["results"][WORKER]
    value, low, high, count, samples = (row[n] for n in (0, 5, 6, 10, 11))
    assert FEWEST_SAMPLES == 7
    assert set(samples) == {None}
    assert set(count) <= {None, 5, 6}  # None: inline has one core only
    measured_ = [cell for cell in zip(low, value, high, strict=True) if cell[0] is not None]
    assert len(measured_) == 3
    assert all(a < v < b < math.inf for a, v, b in measured_)


def test_tasks_in_another_number_or_size_are_no_part_of_the_history(
    repository: Path, tmp_path: Path
) -> None:
    """A curve needs the same question at each commit: not 60 tasks here and 100 there."""
    run_of(repository, tmp_path / "runs" / "run", replace(SMALL, burst_tasks=BURST.n_tasks + 1))
    (_, about), *_ = [(f, json.loads(f.read_text())) for f in exported(tmp_path, repository)]
    assert any("Paced" in name for name in about)
    assert not any("Burst" in name for name in about)


def test_a_machine_is_called_by_its_hash_or_the_name_it_was_given(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Never by its host name, not even when asked; what was written under an old name is gone."""
    monkeypatch.setattr("platform.node", lambda: "secret.example.org")
    run_of(repository, tmp_path / "runs" / "run")
    first = exported(tmp_path, repository)[-1]
    machine = first.parent.name
    assert re.fullmatch(r"machine-[0-9a-f]{8}", machine)
    machines.give(tmp_path, machine, "labbox")
    second = exported(tmp_path, repository)[-1]
    assert second.parent.name == json.loads(second.read_text())["params"]["machine"] == "labbox"
    assert not first.exists()
    for name, words in (
        ("secret", "host's name"),
        ("../x", "not a valid machine name"),
        ("", "not a valid machine name"),
    ):
        with pytest.raises(UsageError, match=words):
            machines.give(tmp_path, machine, name)
    with pytest.raises(UsageError, match="another machine"):
        machines.give(tmp_path, "machine-00000000", "labbox")
    (tmp_path / machines.NAMES).write_text("[")
    with pytest.raises(ResultsError, match="is damaged"):
        exported(tmp_path, repository)


def test_an_export_that_fails_leaves_the_old_files(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder is replaced whole; after a kill between the two renames it comes back."""
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


def test_asv_shows_the_step(repository: Path) -> None:
    """Publish, show, compare and rm work on what was exported; the slowdown is marked."""
    exported(repository / "results", repository)
    run_asv(repository, "publish")
    before, after = (git(repository, "rev-parse", f"HEAD~{n}") for n in (COMMITS - STEP_AT, 0))
    compared = run_asv(repository, "compare", before, after)
    rows = [line for line in compared.splitlines() if "worker_s_per_task" in line]
    assert [line for line in rows if SLOWED in line and line.startswith("| +")]
    assert not [line for line in rows if "inline" in line and line.startswith("| +")]
    assert WORKER in run_asv(repository, "show", after)
    run_asv(repository, "rm", "-y", f"commit_hash={after}")
    assert not list((repository / "results/asv").rglob(f"{after[:8]}-*.json"))


def test_the_pages_are_served_below_a_path_that_nobody_guesses(repository: Path) -> None:
    """`nox -s serve` prints where: on loopback, and without the path there is nothing to see."""
    exported(repository / "results", repository)
    run_asv(repository, "publish")
    command = [sys.executable, "-m", "lab.history.serve"]
    with subprocess.Popen(command, cwd=repository, stdout=subprocess.PIPE, text=True) as serving:
        try:
            assert serving.stdout is not None
            (address,) = re.findall(
                r"http://127\.0\.0\.1:\d+/[\w-]{22}/", serving.stdout.readline()
            )
            assert "vendor/jquery" in fetched(f"{address}index.html")
            assert WORKER in fetched(f"{address}index.json")
            root = address[: address.index("/", len("http://")) + 1]
            for other in (root, f"{root}index.html", f"{root}guess/index.html", address[:-1]):
                with pytest.raises(urllib.error.HTTPError, match="404"):
                    fetched(other)
            serving.send_signal(signal.SIGINT)
            assert serving.wait(timeout=10) == 0
        finally:
            serving.kill()


def fetched(address: str) -> str:
    """Ask for a page."""
    with urllib.request.urlopen(address, timeout=5) as answer:  # noqa: S310 (our own)
        return str(answer.read().decode())


def test_serving_needs_pages(tmp_path: Path) -> None:
    """Where there are none, the sentence says how to make them."""
    command = [sys.executable, "-m", "lab.history.serve", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "Run: nox -s history" in done.stderr


def test_the_pages_ask_nobody_else(repository: Path) -> None:
    """No script, style or picture comes from another host, and each that is wanted is there."""
    exported(repository / "results", repository)
    run_asv(repository, "publish")
    pages = repository / "results/asv-html"
    text = (pages / "index.html").read_text(encoding="utf-8")
    wanted = re.findall(r'(?:src|href)="(vendor/[^"]+)"', text)
    assert len(wanted) >= 10
    assert all((pages / name).is_file() for name in wanted)
    loaded = r"""<(?:script|link|img)\b[^>]*(?:src|href)=["']?(?:https?:)?//"""
    assert not re.findall(loaded, text)
    with pytest.raises(FileNotFoundError, match="loads new.js"):
        asv_offline.localised('<script src="https://example.org/new.js"></script>')
    assert {file.stem for file in (asv_offline.VENDOR / "licences").iterdir()}


def test_the_suite_has_one_name_for_each_cost_and_no_rate() -> None:
    """Names are unique, versions are set by hand, and more is never better."""
    suite = list(benchmarks())
    assert len({b.name for b in suite}) == len(suite) > 5
    assert len({b.title for b in suite}) == len(suite)
    assert {METRICS[b.metric].better for b in suite} == {"lower"}
    assert AXES == ("backend", "cores", "nodes")
