"""Tests the command lines of `lab versions`: what they measure, and what they refuse."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest
from packaging.version import Version

from lab.cli import bench
from lab.cli.main import main
from lab.core.errors import ExitCode
from lab.environments import releases
from lab.environments.releases import Releases
from lab.results import run_names
from lab.results.store import Store
from tests.factories.campaigns import SMALL, campaign, write
from tests.factories.versions import in_versions

KNOWN = {"celery": ("5.7.0", "5.6.3", "5.5.3"), "rq": ("3.0.0", "2.12.0")}


@pytest.fixture(autouse=True)
def questions(monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, ...]]:
    """Replace the package index; return what it was questions for."""
    queries: list[tuple[object, ...]] = []

    def newest(package: str, count: int, within: str = "", python: str = "") -> Releases:
        queries.append((package, count, within, python))
        known = tuple(map(Version, KNOWN[package]))[:count]
        return Releases(known, (Version("9.9"),) if package == "rq" else ())

    monkeypatch.setattr(releases, "newest_of_minors", newest)
    return queries


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[argparse.Namespace]:
    """Replace the campaign; return the options of `lab bench`."""
    runs: list[argparse.Namespace] = []

    def measure(options: argparse.Namespace) -> tuple[int, Path | None]:
        runs.append(options)
        return ExitCode.FINE, None

    monkeypatch.setattr(bench, "measure", measure)
    return runs


def test_the_last_minors_are_measured_in_one_campaign(
    questions: list[tuple[object, ...]], measured: list[argparse.Namespace]
) -> None:
    """It is one of `lab bench`, in processes, of the experiment on overhead, with intervals."""
    assert main(["versions", "-b", "celery", "-b", "celery[threads]", "--seed", "5"]) == 0
    assert questions == [("celery", 6, "", "")]
    (options,) = measured
    assert getattr(options, "with") == ["celery==5.7.0", "celery==5.6.3", "celery==5.5.3"]
    assert (options.command, options.provider, options.experiment) == (
        "bench",
        "local",
        ["overhead"],
    )
    assert (options.blocks, options.seed, options.no_references) == (10, 5, True)
    assert options.words[:5] == ["bench", "-b", "celery", "-b", "celery[threads]"]


@pytest.mark.parametrize(
    ("words", "question", "versions"),
    [
        (["--last", "2"], [(2, "")], ["5.7.0", "5.6.3"]),
        (["--last=2", "--range=<6"], [(2, "<6")], ["5.7.0", "5.6.3"]),
        (["--release", "5.4.0", "--release=5.10"], [], ["5.10", "5.4.0"]),
        (["--release", "5.4.0", "--range", "<6"], [(6, "<6")], [*KNOWN["celery"], "5.4.0"]),
    ],
)
def test_releases_are_chosen_by_number_range_or_name(
    words: list[str],
    question: list[tuple[int, str]],
    versions: list[str],
    questions: list[tuple[object, ...]],
    measured: list[argparse.Namespace],
) -> None:
    """Those that are named need no index; the newest is first."""
    assert main(["versions", *words, "-b", "celery", "-w", "noop", "--preset", "standard"]) == 0
    assert [each[1:3] for each in questions] == question
    (options,) = measured
    assert getattr(options, "with") == [f"celery=={version}" for version in versions]
    assert (options.experiment, options.blocks) == (None, None)
    assert not {word.partition("=")[0] for word in options.words} & {"--last", "--range"}


def test_the_interpreter_decides_which_releases_there_are(
    questions: list[tuple[object, ...]],
    measured: list[argparse.Namespace],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Those that do not support it are named."""
    assert main(["versions", "-b", "rq", "--python", "3.13"]) == 0
    assert questions == [("rq", 6, "", "3.13")]
    assert measured[0].python == ["3.13"]
    printed = " ".join(capsys.readouterr().err.split())
    assert "Left out, because they do not support this Python: rq 9.9." in printed


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "needs a system. Add one, such as: --backend celery"),
        (["-b", "celry"], "Did you mean 'celery'"),
        (["-b", "threading"], "lab bench -b threading --python 3.11 --python 3.13"),
        (["-b", "raw-redis"], "has no package whose releases the lab can install"),
        (["-b", "celery", "-b", "rq", "--release", "5.6"], "have celery and rq. Measure one"),
        (["-b", "celery", "--release", "5.6.0"], "only celery 5.6.0 was selected. Name another"),
        (["-b", "celery", "--release", "new"], "--release 'new' is not a version"),
        (["-b", "celery", "--python", "3.11", "--python", "3.13"], "all but one --python"),
        (["-b", "celery", "--with", "kombu==5"], "Unknown option of lab versions '--with'"),
        (["-b", "celery", "--last", "1"], "is not a whole number from 2 to"),
        (["-b", "celery", "--preset", "quik"], "Did you mean 'quick'"),
    ],
)
def test_a_wrong_command_line_is_refused_in_one_sentence(
    words: list[str],
    message: str,
    measured: list[argparse.Namespace],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Nothing runs, and the sentence has the next step."""
    assert main(["versions", *words]) == ExitCode.USAGE
    assert message in " ".join(capsys.readouterr().err.split())
    assert not measured


@pytest.mark.parametrize(
    ("cost", "code", "expected"),
    [
        (1.0, ExitCode.FINE, ExitCode.FINE),
        (1.3, ExitCode.FINE, ExitCode.WORSE),
        (1.3, ExitCode.TRIAL_FAILED, ExitCode.TRIAL_FAILED),
    ],
)
def test_a_newest_release_that_is_worse_is_an_exit_code(
    cost: float,
    code: ExitCode,
    expected: ExitCode,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Unless the campaign itself failed."""
    plan = campaign(SMALL)
    folder = write(in_versions(plan, "rq", {"rq==2.12.0": 1.0, "rq==3.0.0": cost}), tmp_path / "r")
    monkeypatch.setattr(bench, "measure", lambda _: (code, folder))
    assert main(["versions", "-b", "rq"]) == expected
    printed = " ".join(capsys.readouterr().err.split())
    assert "times as much as rq 2.12.0" in printed


@pytest.mark.slow
def test_two_releases_run_in_the_same_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Real releases of a small package, in processes: each trial ran with its own version."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    words = ["versions", "-b", "joblib", "--release", "1.4.2", "--release", "1.5.0", "-w", "noop"]
    words += ["--arrival", "burst", "--tasks", "50", "--cores", "1", "--blocks", "2"]
    results = tmp_path / "results"
    main([*words, "--allow-disturbed", "--results", str(results)])
    store = Store(run_names.find(None, results, print))
    trials = store.read("trial")
    assert set(trials.status) == {"ok"}
    texts = ("joblib==1.4.2", "joblib==1.5.0")
    assert sorted(zip(trials.block, trials.environment, strict=True)) == [
        (block, text) for block in (0, 1) for text in texts
    ]
    known = store.read("environment").set_index("key").value
    assert [known[f"in {text} (joblib): package.joblib"] for text in texts] == ["1.4.2", "1.5.0"]
    assert "bench -b joblib" in store.campaign().command
