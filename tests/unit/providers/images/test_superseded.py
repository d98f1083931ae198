"""Tests that only images of other versions of the files are removed, and none beside a lab."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.cli.main import main
from lab.core.errors import ExitCode
from lab.host import processes
from lab.providers import watchdog
from lab.providers.reaper import Remains
from tests.factories.fake_engine import FakeEngine, fake_engine

OLD = ("lab-node:0123456789ab", "lab-redis:0123456789ab")
OFFER = "2 images of other versions of the lab. To remove them, run: lab clean --images"


@pytest.fixture
def engine(
    tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FakeEngine]:
    """An engine with the images of this checkout and two of another version."""
    with fake_engine(tmp_path, temporary / "socket", monkeypatch) as machine:
        machine.registry()  # so that all are built here
        machine.build()
        for name in OLD:
            machine.image(name).touch()
        yield machine


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the processes of this machine, which may be those of other labs."""
    monkeypatch.setattr("psutil.process_iter", lambda *_: iter(()))


def n_images(engine: FakeEngine) -> int:
    """Return the number of images that were built here."""
    return len([*engine.folder.glob("images/lab-*")])


def test_clean_offers_to_remove_old_images(
    engine: FakeEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without the option nothing is removed, because another checkout may use them."""
    before = n_images(engine)
    assert main(["clean"]) == ExitCode.FINE
    assert OFFER in capsys.readouterr().err
    assert n_images(engine) == before


@pytest.mark.usefixtures("alone")
def test_only_images_of_other_versions_are_removed(
    engine: FakeEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    """Those of this checkout stay, and a second call has nothing to do."""
    before = n_images(engine)
    assert main(["clean", "--images"]) == ExitCode.FINE
    assert "2 images of other versions of the lab removed." in capsys.readouterr().err
    assert sorted(engine.removed) == sorted(OLD)
    assert n_images(engine) == before - len(OLD)
    assert main(["clean", "--images"]) == ExitCode.FINE
    assert "0 images" in capsys.readouterr().err
    assert main(["clean"]) == ExitCode.FINE
    assert "images of other" not in capsys.readouterr().err


def test_nothing_is_removed_while_a_lab_of_this_machine_runs(
    engine: FakeEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    """Between two of its trials no container uses the image of the next one."""
    with watchdog.on_duty():
        assert main(["clean", "--images"]) == ExitCode.MACHINE_FAILED
    assert "Another lab runs" in " ".join(capsys.readouterr().err.split())
    assert engine.removed == []


@pytest.mark.usefixtures("alone")
def test_nothing_is_removed_while_the_engine_serves_a_lab(engine: FakeEngine) -> None:
    """Its processes may be on another machine, so its running container decides."""
    elsewhere = Remains("container", "c", "run-1", "another-boot/1:12:3.00", running=True)
    engine.objects = [elsewhere]
    assert main(["clean", "--images"]) == ExitCode.MACHINE_FAILED
    of_this_lab = Remains("network", "n", "run-2", processes.owner(), running=False)
    engine.objects = [of_this_lab]
    assert main(["clean", "--images"]) == ExitCode.MACHINE_FAILED
    assert engine.removed == []


def test_without_an_engine_clean_offers_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The option is refused with the next step."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/absent")
    assert main(["clean"]) == ExitCode.FINE
    assert "images" not in capsys.readouterr().err
    assert main(["clean", "--images"]) == ExitCode.MACHINE_FAILED
