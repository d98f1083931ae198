"""Tests that one name of a run means the same folder in every command."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.core.errors import UsageError
from lab.results import run_names
from tests.factories.campaigns import Campaign, campaign, write

OLD, NEW, AGAIN = "20260101T000000Z-quick-aaaa", "20260102T000000Z-quick-bbbb", "20260103T000000Z-r"
MEASURED = "20251231T000000Z-standard-cccc"


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder with two runs, a reproduced trial, and two published packages."""
    folder = tmp_path_factory.mktemp("results")
    tables = campaign(Campaign(blocks=1))
    for name, preset in ((OLD, "quick"), (NEW, "quick"), (AGAIN, run_names.REPRODUCED)):
        row = tables["campaign"].assign(campaign_id=name, preset=preset)
        write({**tables, "campaign": row}, folder / "runs" / name)
    write(tables, folder / "published" / "paper")
    row = tables["campaign"].assign(campaign_id=MEASURED)
    write({**tables, "campaign": row}, folder / "reference" / "faults")
    return folder


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        (None, f"runs/{NEW}"),
        ("latest", f"runs/{NEW}"),
        ("latest~1", f"runs/{OLD}"),
        (OLD, f"runs/{OLD}"),
        (AGAIN, f"runs/{AGAIN}"),
        ("paper", "published/paper"),
        (MEASURED, "reference/faults"),
    ],
)
def test_a_name_is_an_id_or_counts_back_from_the_latest(
    results: Path, name: str | None, folder: str
) -> None:
    """A run of `lab reproduce` has a name, and is never the latest."""
    assert run_names.find(name, results, pytest.fail) == results / folder


def test_a_folder_is_a_name(results: Path) -> None:
    """The path of a run is accepted from anywhere."""
    assert run_names.find(results / "runs" / OLD, Path("elsewhere"), pytest.fail).name == OLD


@pytest.mark.parametrize("name", ["latest~2", "latest~", "20260101T000000Z-quick-aaab", "paper/x"])
def test_an_unknown_name_is_refused_with_the_newest_runs(results: Path, name: str) -> None:
    """The message has the name, the closest run if one is close, and what a name may be."""
    with pytest.raises(UsageError, match=f"^{name} is not a run folder") as error:
        run_names.find(name, results, pytest.fail)
    assert (f"Did you mean {OLD}?" in str(error.value)) == name.endswith("aaab")
    assert NEW in str(error.value)


def test_without_a_run_the_message_says_how_to_create_one(tmp_path: Path) -> None:
    """A first call of `lab report` has no run to show."""
    with pytest.raises(UsageError, match=r"^There is no run in .+ lab bench$"):
        run_names.find(None, tmp_path, pytest.fail)
