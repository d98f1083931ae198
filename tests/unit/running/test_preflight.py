"""Tests the messages about user functions that fail when the lab calls them before a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.cli.main import main
from lab.core.errors import UsageError
from lab.running import preflight

HERE = "tests.factories.user_tasks"


@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("exits_at_import", "its import exits: SHOP_CONFIG is not set"),
        ("guardless", "its import exits with code 2. Workers import it as well"),
        ("dies_at_import", "its import ended with code 4"),
        ("sleeps_at_import", "its import did not end in 2 s"),
        ("interrupts_at_import", "KeyboardInterrupt"),
    ],
)
def test_a_module_that_fails_on_import_is_a_usage_error(
    module: str, words: str, tmp_path: Path
) -> None:
    """The error comes before the run, and not once for each backend."""
    with pytest.raises(UsageError, match=words):
        preflight.run_preflight(f"tests.factories.user_functions.{module}:work", tmp_path, 2.0)


@pytest.mark.parametrize("task", ["raises", "exits", "killed"])
def test_a_function_that_fails_before_the_run_stops_it(
    task: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message has the exception; `--allow-errors` measures the function anyway."""
    words = f"bench --task {HERE}:{task} -b inline --arrival burst --cores 1 --provider local"
    words += f" --results {tmp_path}"
    assert main(words.split()) == 2
    message = " ".join(capsys.readouterr().err.split())
    assert f"{HERE}:{task} fails when the lab calls it before the run: the call" in message
    assert "--allow-errors" in message
    assert main([*words.split(), "--allow-errors", "--dry-run"]) == 0


@pytest.mark.parametrize(
    ("task", "words"),
    [
        ("absent", "cannot be imported"),
        ("PAIR", "has the type tuple, which cannot be called"),
        (f"add({HERE}:add)", "must be a list, tuple or mapping"),
    ],
)
def test_a_name_that_is_not_a_function_is_a_usage_error(
    task: str, words: str, tmp_path: Path
) -> None:
    """The error comes before any trial."""
    with pytest.raises(UsageError, match=words):
        preflight.run_preflight(f"{HERE}:{task}", tmp_path)
