"""Results are data: no file chooses code, and a user's function runs again only for its user."""

from __future__ import annotations

import ast
import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.campaign import consent
from lab.cli.main import main
from lab.core.serialization import spec_from_json
from tests.unit.test_architecture import imported

LAB = Path(__file__).parents[3] / "lab"
FUNCTION = "tests.factories.user_tasks:add"
NAMED = ["--task", FUNCTION, "--args", "[1, 2]"]
SMALL = ["-b", "inline", "--arrival", "burst", "--tasks", "20", "--blocks", "1", "--cores", "1"]
QUIET = ["--provider", "local", "--allow-dirty", "--tables-only"]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two finished runs: one of a registered workload, one of a function of this user."""
    folder = tmp_path_factory.mktemp("results")
    for chosen in (["-w", "noop"], NAMED):
        assert main(["bench", *chosen, *SMALL, *QUIET, "--results", str(folder)]) == 0
    return folder


def run_of(results: Path, *, is_function: bool) -> Path:
    """One of the two runs."""
    runs = (results / "runs").iterdir()
    return next(run for run in runs if (run / consent.PROOF).exists() == is_function)


@pytest.fixture
def trap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A module `trap` on the path; the file that this returns exists once it was imported."""
    sprung = tmp_path / "sprung"
    folder = tmp_path / "modules"
    folder.mkdir()
    text = f"open({str(sprung)!r}, 'w')\nARGUMENTS = []\ndef run(*_): open({str(sprung)!r}, 'w')\n"
    (folder / "trap.py").write_text(text)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PYTHONPATH", str(folder))
    yield sprung
    sys.modules.pop("trap", None)


def trial_id(run: Path) -> str:
    """The id of the one trial of a plan, whatever it names."""
    (fields,) = json.loads((run / "plan.json").read_text())["trials"]
    return spec_from_json(fields).id


@pytest.mark.parametrize(
    "workload",
    ["trap:run", "trap:run[1]", "trap:run(trap:ARGUMENTS)", "os:system['id > sprung']"],
)
def test_no_file_chooses_code(
    results: Path,
    tmp_path: Path,
    trap: Path,
    workload: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Going on, repeating, reproducing: each refuses a function that a foreign plan names."""
    run = shutil.copytree(run_of(results, is_function=False), tmp_path / "results" / "runs" / "r")
    workload = workload.replace("'", '\\"')
    text = (run / "plan.json").read_text()
    (run / "plan.json").write_text(text.replace('"noop"', f'"{workload}"'))
    named = workload.replace('\\"', '"')
    shutil.copytree(run_of(results, is_function=True), tmp_path / "other")
    shutil.copyfile(tmp_path / "other" / consent.PROOF, run / consent.PROOF)
    function, _, arguments = named.partition("[")
    typed = ["--task", function.partition("(")[0]]
    typed += ["--args", f"[{arguments}"] if arguments else []
    commands = (
        ["bench", "--resume", str(run)],
        ["bench", "--like", str(run), "--results", str(tmp_path)],
        ["claims", "--resume", str(run)],
        ["reproduce", f"{run}/{trial_id(run)}", "--results", str(tmp_path)],
    )
    for command in commands:
        for more in ([], typed) if command[0] != "claims" else ([],):
            assert main([*command, *more]) == 2, command
            told = " ".join(capsys.readouterr().err.split())
            assert "Results never select code" in told
            assert "lab bench --task MODULE:FUNCTION" in told
    assert not trap.exists()
    assert not (tmp_path / "sprung").exists()


def test_reading_a_run_imports_nothing_that_it_names(
    results: Path, tmp_path: Path, trap: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Report, comparison, history and package of a run whose tables name a function."""
    run = shutil.copytree(run_of(results, is_function=False), tmp_path / "results" / "runs" / "r")
    for file in ("plan.json", "trial.csv"):
        text = (run / file).read_text()
        (run / file).write_text(text.replace("noop", "trap:run(trap:ARGUMENTS)"))
    where = ["--results", str(tmp_path / "results")]
    assert main(["report", str(run)]) == 0
    main(["compare", "--null", str(run), *where])
    main(["history", *where])
    assert main(["publish", str(run), "--to", str(tmp_path / "package")]) == 0
    assert "Traceback" not in capsys.readouterr().err
    assert not trap.exists()


def test_a_function_runs_again_from_its_users_run_when_it_is_named(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Unnamed, or named otherwise, it is refused in a sentence that shows what to type."""
    run = run_of(results, is_function=True)
    to_type = "--task tests.factories.user_tasks:add --args '[1, 2]'"
    where = ["--results", str(tmp_path)]
    commands = (
        ["bench", "--resume", str(run)],
        ["bench", "--like", str(run), "--tables-only", *where],
        ["reproduce", f"{run}/{trial_id(run)}", *where],
    )
    for command in commands:
        for more in ([], ["--task", FUNCTION], ["--task", FUNCTION, "--args", "[1, 3]"]):
            assert main([*command, *more]) == 2
            told = " ".join(capsys.readouterr().err.split())
            assert f"Type: lab {' '.join(command[:3]).removesuffix(' --results')}" in told
            assert to_type in told
        resumed = ["--tables-only"] if "--resume" in command else []
        assert main([*command, *NAMED, *resumed]) == 0, capsys.readouterr().err


@pytest.mark.parametrize("case", ["package", "copy", "another user", "key of others", "no state"])
def test_a_function_runs_from_no_run_of_others(
    results: Path,
    tmp_path: Path,
    case: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The user's own function is refused where nothing proves who created the run."""
    run = run_of(results, is_function=True)
    state = Path(os.environ["XDG_STATE_HOME"])
    if case == "package":
        target = tmp_path / run.name
        assert main(["publish", str(run), "--to", str(target)]) == 0
        assert not (target / consent.PROOF).exists()
        run = target
    elif case == "copy":
        run = shutil.copytree(run, tmp_path / "renamed")
    elif case == "key of others":
        shutil.copytree(state, tmp_path / "state")
        (tmp_path / "state" / "background-task-lab" / "key").chmod(0o644)
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    elif case == "another user":
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "empty"))
    else:
        (tmp_path / "file").touch()
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    row = f"{run}/{trial_id(run)}"
    assert main(["reproduce", row, *NAMED, "--results", str(tmp_path)]) == 2
    assert "Results never select code" in " ".join(capsys.readouterr().err.split())


def test_the_key_is_for_its_user_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody else can read it, a link to a key is none, and without a home there is no proof."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    run = tmp_path / "run"
    run.mkdir()
    consent.prove(run, ["noop"])
    assert not (tmp_path / "state").exists()
    consent.prove(run, [FUNCTION, "noop"])
    key = tmp_path / "state" / "background-task-lab" / "key"
    assert key.stat().st_mode & 0o777 == 0o600
    assert key.parent.stat().st_mode & 0o777 == 0o700
    assert [*key.parent.iterdir()] == [key]
    consent.check(run, [FUNCTION, "noop"], FUNCTION, "")
    key.rename(tmp_path / "key")
    key.symlink_to(tmp_path / "key")
    (run / consent.PROOF).unlink()
    consent.prove(run, [FUNCTION])
    assert not (run / consent.PROOF).exists()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("size", "5"),
        ("size", -1),
        ("deadline_s", float("nan")),
        ("seed", True),
        ("workload", ["noop"]),
        ("unknown", 1),
        ("n_tasks", 1.5),
        ("nodes", "1"),
    ],
)
def test_a_plan_with_a_field_that_cannot_be_is_refused(
    results: Path, tmp_path: Path, field: str, value: object, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each field has a type, numbers are finite and not negative, and none is unknown."""
    run = shutil.copytree(run_of(results, is_function=False), tmp_path / "results" / "runs" / "r")
    plan = json.loads((run / "plan.json").read_text())
    spec = plan["trials"][0]
    parts = {"n_tasks": spec["arrival"], "nodes": spec["topology"]}
    parts.get(field, spec)[field] = value
    (run / "plan.json").write_text(json.dumps(plan))
    assert main(["bench", "--resume", str(run)]) == 2
    assert "is damaged" in capsys.readouterr().err


# Modules that turn text or bytes into code, and the files of lab/ that import them.
CODE_FROM_TEXT = {
    *("cloudpickle", "code", "dill", "imp", "importlib", "joblib", "marshal", "pickle", "runpy"),
    *("shelve", "yaml", "zipimport"),
}
KNOWN = {
    "importlib": {
        "worker/execution.py",  # a task's function, in its worker
        "worker/user_function.py",  # what the command line names: see `consent`
        "planning/registry.py",  # the files of lab/backends and workloads
        "planning/entry_points.py",  # entry points of what is installed beside the lab
        "backends/_rq/preloading.py",  # the lab's workloads, in RQ's worker
        "providers/user_code.py",  # where a function's package lies; imports nothing
        "running/shadowed_modules.py",  # names of the standard library's modules
        *("providers/servers.py", "host/environment.py"),  # names, versions, files of packages
        *("history/page.py", "report/page.py"),  # the lab's templates
    },
    "runpy": {"backends/_rq/preloading.py"},  # RQ's own command
    "pickle": {
        "worker/canonical.py",  # writes, and reads nothing
        # Messages of a trial, from its own server, in its worker.
        *("backends/raw_amqp.py", "backends/raw_redis.py", "backends/raw_sql.py"),
    },
    "joblib": {"backends/joblib.py"},  # the system itself
}


def test_every_place_that_turns_text_into_code_is_known() -> None:
    """No pickle, yaml, eval or import of a name that a result holds: here is the complete list."""
    importers: dict[str, set[str]] = {}
    words = set()
    for file in LAB.rglob("*.py"):
        name = file.relative_to(LAB).as_posix()
        for module in imported(file):
            importers.setdefault(module.partition(".")[0], set()).add(name)
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Name | ast.Attribute):
                words.add((name, node.id if isinstance(node, ast.Name) else node.attr))
    assert {m: files for m, files in importers.items() if m in CODE_FROM_TEXT} == KNOWN
    dangerous = {"eval", "exec", "__import__", "read_pickle", "read_hdf", "allow_pickle"}
    assert not {(file, word) for file, word in words if word in dangerous}
    assert {file for file, word in words if word == "import_module"} == {
        *(
            "worker/execution.py",
            "worker/user_function.py",
            "planning/registry.py",
            "backends/_rq/preloading.py",
        )
    }
