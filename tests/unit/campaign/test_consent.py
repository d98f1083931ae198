"""Tests that no file of results selects code, and that only its user can rerun a function."""

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
from tests.conftest import shorten_page
from tests.unit.test_architecture import imported

LAB = Path(__file__).parents[3] / "lab"
FUNCTION = "tests.factories.user_tasks:add"
NAMED = ["--task", FUNCTION, "--args", "[1, 2]"]
SMALL = ["-b", "inline", "--arrival", "burst", "--tasks", "20", "--blocks", "1", "--cores", "1"]
QUIET = ["--provider", "local", "--allow-dirty", "--tables-only"]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Create two runs: one of a registered workload, one of a function of this user."""
    folder = tmp_path_factory.mktemp("results")
    for workload in (["-w", "noop"], NAMED):
        assert main(["bench", *workload, *SMALL, *QUIET, "--results", str(folder)]) == 0
    return folder


def run_of(results: Path, *, is_function: bool) -> Path:
    """Return one of the two runs."""
    runs = (results / "runs").iterdir()
    return next(run for run in runs if (run / consent.PROOF).exists() == is_function)


@pytest.fixture
def trap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Put a module `trap` on the path; its import creates the returned file."""
    imported_mark = tmp_path / "sprung"
    folder = tmp_path / "modules"
    folder.mkdir()
    create = f"open({str(imported_mark)!r}, 'w')"
    text = f"{create}\nARGUMENTS = []\ndef run(*_): {create}\n"
    (folder / "trap.py").write_text(text)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PYTHONPATH", str(folder))
    yield imported_mark
    sys.modules.pop("trap", None)


def trial_id(run: Path) -> str:
    """Return the id of the only trial of a plan."""
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
    """Each command rejects the function of a foreign plan, also if the command line names it."""
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
            message = " ".join(capsys.readouterr().err.split())
            assert "Results never select code" in message
            assert "lab bench --task MODULE:FUNCTION" in message
    assert not trap.exists()
    assert not (tmp_path / "sprung").exists()


def test_commands_that_read_a_run_do_not_import_its_function(
    results: Path,
    tmp_path: Path,
    trap: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The commands are report, compare, history and publish."""
    run = shutil.copytree(run_of(results, is_function=False), tmp_path / "results" / "runs" / "r")
    for file in ("plan.json", "trial.csv"):
        text = (run / file).read_text()
        (run / file).write_text(text.replace("noop", "trap:run(trap:ARGUMENTS)"))
    where = ["--results", str(tmp_path / "results")]
    assert main(["report", str(run)]) == 0
    main(["compare", "--null", str(run), *where])
    main(["history", *where])
    shorten_page(monkeypatch)  # `report` has drawn the whole page
    assert main(["publish", str(run), "--to", str(tmp_path / "package")]) == 0
    assert "Traceback" not in capsys.readouterr().err
    assert not trap.exists()


def test_a_function_runs_again_from_its_users_run_if_the_command_names_it(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without the name, or with another one, it is rejected, and the message has the command."""
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
            message = " ".join(capsys.readouterr().err.split())
            assert f"Type: lab {' '.join(command[:3]).removesuffix(' --results')}" in message
            assert to_type in message
        resumed = ["--tables-only"] if "--resume" in command else []
        assert main([*command, *NAMED, *resumed]) == 0, capsys.readouterr().err


@pytest.mark.parametrize("case", ["package", "copy", "another user", "key of others", "no state"])
def test_a_function_does_not_run_from_a_run_without_proof(
    results: Path,
    tmp_path: Path,
    case: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Even the user's own function is rejected if the run does not prove who created it."""
    run = run_of(results, is_function=True)
    state = Path(os.environ["XDG_STATE_HOME"])
    if case == "package":
        shorten_page(monkeypatch)
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


def test_only_the_user_can_read_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A symbolic link is not accepted as key, and without a key no proof is written."""
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
def test_a_plan_with_an_invalid_field_is_rejected(
    results: Path, tmp_path: Path, field: str, value: object, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each field has a type, numbers are finite and not negative, and no field is unknown."""
    run = shutil.copytree(run_of(results, is_function=False), tmp_path / "results" / "runs" / "r")
    plan = json.loads((run / "plan.json").read_text())
    spec = plan["trials"][0]
    parts = {"n_tasks": spec["arrival"], "nodes": spec["topology"]}
    parts.get(field, spec)[field] = value
    (run / "plan.json").write_text(json.dumps(plan))
    assert main(["bench", "--resume", str(run)]) == 2
    assert "is damaged" in capsys.readouterr().err


# Modules that can turn text or bytes into code, and the files of lab/ that may import them.
CODE_FROM_TEXT = {
    *("cloudpickle", "code", "dill", "imp", "importlib", "joblib", "marshal", "pickle", "pkgutil"),
    *("runpy", "shelve", "yaml", "zipimport"),
}
KNOWN = {
    "importlib": {
        "cli/parser.py",  # the module of a command, from the parser's list
        "worker/execution.py",  # a task's function, in its worker
        "worker/user_function.py",  # the function on the command line: see `consent`
        "planning/registry.py",  # the files of lab/backends and workloads
        "planning/entry_points.py",  # entry points of installed packages
        "backends/_rq/preloading.py",  # the lab's workloads, in RQ's worker
        "providers/user_code.py",  # finds a function's package; imports nothing
        "running/faults/__init__.py",  # the files of its folder
        "running/shadowed_modules.py",  # names of the standard library's modules
        # Names, versions and files of packages.
        *("providers/servers.py", "providers/redis_program.py"),
        *("host/environment.py", "host/faked_clock.py"),
        *("host/interpreter.py", "environments/requirements.py"),
        *("history/page.py", "report/page.py"),  # the lab's templates
    },
    "pkgutil": {
        "providers/__init__.py",  # the class of a provider, from the list in this file
        # Lists the files of a package.
        *("backends/_rq/preloading.py", "planning/registry.py", "running/faults/__init__.py"),
    },
    "runpy": {"backends/_rq/preloading.py"},  # the command of RQ
    "pickle": {
        "worker/canonical.py",  # writes only
        # Messages of a trial from its server, in its worker.
        *("backends/raw_amqp.py", "backends/raw_redis.py", "backends/raw_sql.py"),
    },
    "joblib": {"backends/joblib.py"},  # the backend
}


def test_every_place_that_turns_text_into_code_is_known() -> None:
    """Compare all uses of pickle, yaml, eval and dynamic imports in lab/ with the lists here."""
    importers: dict[str, set[str]] = {}
    names = set()
    for file in LAB.rglob("*.py"):
        name = file.relative_to(LAB).as_posix()
        for module in imported(file):
            importers.setdefault(module.partition(".")[0], set()).add(name)
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Name | ast.Attribute):
                names.add((name, node.id if isinstance(node, ast.Name) else node.attr))
    assert {m: files for m, files in importers.items() if m in CODE_FROM_TEXT} == KNOWN
    dangerous = {"eval", "exec", "__import__", "read_pickle", "read_hdf", "allow_pickle"}
    assert not {(file, name) for file, name in names if name in dangerous}
    assert {file for file, name in names if name == "resolve_name"} == {"providers/__init__.py"}
    assert {file for file, name in names if name == "import_module"} == {
        *(
            "cli/parser.py",
            "worker/execution.py",
            "worker/user_function.py",
            "planning/registry.py",
            "backends/_rq/preloading.py",
            "running/faults/__init__.py",
        )
    }
