"""Tests the images of environments: what their names depend on, and how they are built."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.cli.main import main
from lab.core.errors import ExitCode, UsageError
from lab.environments import checkouts, uv
from lab.providers import images
from lab.providers.images import bases, debian, environment_images, recipe
from tests.factories.fake_engine import FakeEngine, fake_engine
from tests.factories.trials import spec_of

FIRST, SECOND = "celery==5.5.3", "celery==5.6.0"


@pytest.fixture
def engine(
    tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FakeEngine]:
    """An engine with the images of small files, without registry; bases have Python 3.11.2."""
    trees = {target: {"lab/a.py": (b"1", False)} for target in (*recipe.SERVERS, "node")}
    monkeypatch.setattr(recipe, "read", lambda: trees)
    monkeypatch.setattr(bases, "_version", lambda _: "3.11.2")
    monkeypatch.setattr(environment_images, "_platform", lambda: "x86_64-unknown-linux-gnu")
    monkeypatch.setattr("psutil.process_iter", lambda *_: iter(()))
    # Else `lab env` would list the folders of this user.
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with fake_engine(tmp_path, temporary / "socket", monkeypatch) as machine:
        machine.registry()
        machine.build()
        yield machine
    for cached in (environment_images.of_trial, images.resolve, images.trees):
        cached.cache_clear()


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """The commands of uv, each of which resolves to one pinned version."""
    given: list[tuple[str, ...]] = []

    def resolved(*arguments: str, about: str) -> str:
        given.append(arguments)
        Path(arguments[-1]).write_text(f"{about} --hash=sha256:0\n", encoding="utf-8")
        return ""

    monkeypatch.setattr(uv, "run", resolved)
    return given


@pytest.mark.usefixtures("engine")
def test_the_name_depends_on_everything_that_an_image_is_made_from(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Versions, Python, and the lab's files; the same content has the same name."""
    names = {environment_images.name_of("celery", text) for text in (FIRST, SECOND, "3.13", "3.14")}
    assert len(names) == 4
    # Variants with the same packages share an image.
    assert environment_images.name_of("celery[threads]", FIRST) in names
    changed = {"node": {"lab/a.py": (b"2", False)}}
    monkeypatch.setattr(recipe, "read", lambda: changed)
    images.trees.cache_clear()
    assert environment_images.name_of("celery", FIRST) not in names


def test_an_image_is_built_once_from_resolved_versions(
    engine: FakeEngine, commands: list[tuple[str, ...]]
) -> None:
    """The image gets the versions with hashes, those for its own Python and platform."""
    docker_ = engine.folder / "docker"
    shown = 'cat "$last/environment/requirements.txt" >> "$ENGINE/context"'
    docker_.write_text(docker_.read_text().replace('"build "*)', f'"build "*) {shown}'))
    specs = [spec_of("celery", environment=text) for text in (FIRST, SECOND)]
    said: list[str] = []
    environment_images.prepare(specs, said.append)
    assert (engine.folder / "context").read_text() == "".join(
        f"{text} --hash=sha256:0\n" for text in (FIRST, SECOND)
    )
    assert f"Building the image of environment {FIRST} for celery" in said[0]
    for command in commands:
        assert command[command.index("--python-version") + 1] == "3.11.2"
        assert command[command.index("--python-platform") + 1] == "x86_64-unknown-linux-gnu"
    before = engine.n_calls("build")
    environment_images.prepare(specs, said.append)
    assert engine.n_calls("build") == before
    assert environment_images.of_trial("celery", FIRST) == environment_images.name_of(
        "celery", FIRST
    )


@pytest.mark.usefixtures("engine")
def test_a_python_has_the_base_of_the_registry_or_of_a_release_of_debian(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The machine's own release is the base of the node image as well."""
    assert bases.base_of("3.13") == bases.Base(recipe.base_image("trixie"), "trixie")
    assert bases.base_of("3.11").image == bases.base_of("").image
    assert recipe.base_image("trixie") != recipe.base_image("forky")
    monkeypatch.setenv("LAB_BASE_IMAGE", "python:3.12-slim")
    assert bases.base_of("3.13") == bases.Base("python:3.13-slim")
    assert bases.base_of("") == bases.Base("python:3.12-slim")


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize(
    ("python", "message"),
    [
        ("3.14t", "no base image has a free-threaded Python. Add --provider local"),
        ("3.12", "no release of Debian has it. Choose 3.11, 3.13, 3.14"),
    ],
)
def test_a_python_without_a_base_is_refused(python: str, message: str) -> None:
    """Before the run, with the next step."""
    with pytest.raises(UsageError, match=message):
        environment_images.require(python)


@pytest.mark.usefixtures("engine")
def test_a_base_with_another_patch_version_is_refused() -> None:
    """A release of Debian has one version only."""
    with pytest.raises(UsageError, match=r"has Python 3.11.2. Choose --python 3.11"):
        bases.make(bases.base_of("3.11.9"), "3.11.9", lambda _: None)
    assert bases.make(bases.base_of("3.11"), "3.11", lambda _: None) == "3.11.2"


def test_another_release_comes_from_the_same_archive(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the suites of updates, which a release in preparation lacks."""
    targets = [
        ("https://deb.example/debian", "bookworm", "main"),
        ("https://deb.example/debian-security", "bookworm-security", "main"),
        ("https://engine.example/linux", "bookworm", "stable"),
    ]
    monkeypatch.setattr(debian, "_release", lambda: ("debian", "bookworm"))
    monkeypatch.setattr(debian, "_targets", lambda: targets)
    (of_trixie,) = debian.mirrors("trixie")
    assert of_trixie.endswith("https://deb.example/debian trixie main")
    assert [line.split()[-2] for line in debian.mirrors("")] == ["bookworm", "bookworm-security"]


def test_a_checkout_with_compiled_modules_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its wheel is for this machine, and the image may be for another."""
    wheel = tmp_path / "joblib-1-cp311-cp311-linux_x86_64.whl"
    monkeypatch.setattr(uv, "run", lambda *_, **__: wheel.touch())
    with pytest.raises(UsageError, match="compiled modules. Add --provider local"):
        checkouts.build_wheel(tmp_path, tmp_path, "joblib")


@pytest.mark.usefixtures("commands")
def test_env_lists_and_removes_the_images(
    engine: FakeEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    """Those of environments and their bases; the images of all trials stay."""
    before = {file.name for file in engine.folder.glob("images/*")}
    environment_images.prepare([spec_of("celery", environment=FIRST)], lambda _: None)
    engine.image(recipe.base_image("trixie")).touch()
    assert main(["env"]) == ExitCode.FINE
    printed = capsys.readouterr().out
    assert "3.11.2" in printed
    assert "celery[redis]==5.5.3" in printed
    # `lab clean` offers no image of this version.
    assert main(["clean"]) == ExitCode.FINE
    assert "lab clean --images" not in capsys.readouterr().err
    assert main(["env", "prune"]) == ExitCode.FINE
    assert "Removed 2 images." in capsys.readouterr().err
    assert {file.name for file in engine.folder.glob("images/*")} == before
