"""Tests the names, the sources and the content of the images of clusters in containers."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.core.errors import ClusterError
from lab.core.model import Service
from lab.host import processes
from lab.providers import docker_command, images
from lab.providers.engine import engine as real_engine
from lab.providers.images import Image, Images, Origin, __main__, official, recipe
from tests.factories.fake_engine import FakeEngine, fake_engine

OFFICIAL = official.chosen()


@pytest.fixture(autouse=True)
def _no_cached_images() -> Iterator[None]:
    """Clear the cache of `resolve` before and after each test."""
    images.resolve.cache_clear()
    yield
    images.resolve.cache_clear()


@pytest.fixture
def engine(
    tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FakeEngine]:
    """An engine without images, and a registry with all official images."""
    with fake_engine(tmp_path, temporary / "socket", monkeypatch) as machine:
        yield machine


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small source tree that replaces the checkout's."""
    for name in ("compose/Dockerfile", "requirements/bench.txt", "lab/a.py", "workloads/b.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    monkeypatch.setattr(recipe, "ROOT", tmp_path)
    monkeypatch.setattr(recipe, "DOCKERFILE", tmp_path / "compose/Dockerfile")
    return tmp_path


def test_build_pulls_official_images_once(engine: FakeEngine) -> None:
    """If a registry responds, its images are used; a second call does nothing."""
    first, progress = engine.build()
    assert progress[0] == f"Pulling {OFFICIAL['base']}."
    assert [image.origin for image in (first["node"], first["redis"])] == [Origin.OFFICIAL] * 2
    assert first["redis"].name == OFFICIAL["redis"]
    assert first["redis"].id == f"sha256:id-of-{OFFICIAL['redis']}"
    assert (engine.n_calls("pull"), engine.n_calls("build"), engine.n_calls("import")) == (4, 1, 0)
    assert engine.build() == (first, [])
    assert (engine.n_calls("pull"), engine.n_calls("build")) == (4, 1)


def test_build_without_a_registry_builds_every_image(engine: FakeEngine) -> None:
    """The registry is queried once, one message reports this, and a second call does nothing."""
    engine.registry()
    built, progress = engine.build()
    assert len([line for line in progress if "Debian packages" in line]) == 1
    assert {image.origin for image in (built["node"], built["redis"], built["postgres"])} == {
        Origin.LOCAL
    }
    assert (engine.n_calls("pull"), engine.n_calls("import"), engine.n_calls("build")) == (1, 1, 4)
    assert engine.build() == (built, [])
    assert engine.n_calls("pull") == 1
    (engine.folder / "images.env").unlink()
    engine.registry(*OFFICIAL.values())
    assert engine.build()[0]["redis"].origin == Origin.OFFICIAL


def test_build_makes_only_what_a_run_needs(engine: FakeEngine) -> None:
    """A first run without RabbitMQ and PostgreSQL does not wait for them; a later one does."""
    built = images.build(lambda _: None, [Service.REDIS, Service.DASK_SCHEDULER])
    assert list(built) == ["node", "redis"]
    assert engine.n_calls("pull") == 2
    assert images.present() == built
    with pytest.raises(ClusterError, match=r"The image rabbitmq\S+ is missing"):
        images.of([Service.RABBITMQ])
    engine.registry()
    built = images.build(lambda _: None, [Service.REDIS, Service.RABBITMQ])
    assert (built["redis"].origin, built["rabbitmq"].origin) == (Origin.OFFICIAL, Origin.LOCAL)
    assert (engine.n_calls("pull"), engine.n_calls("import"), engine.n_calls("build")) == (3, 0, 2)


def test_build_uses_the_registrys_base_for_missing_images(engine: FakeEngine) -> None:
    """An image that the registry lacks is built on the official base."""
    engine.registry(OFFICIAL["base"], OFFICIAL["redis"])
    built, _ = engine.build()
    origins = (built["node"].origin, built["redis"].origin, built["rabbitmq"].origin)
    assert origins == (Origin.OFFICIAL, Origin.OFFICIAL, Origin.LOCAL)
    assert engine.n_calls("import") == 0


def test_build_never_replaces_an_image_of_the_environment(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environment has priority over compose.yaml; if its image is missing, the build fails."""
    monkeypatch.setenv("LAB_REDIS_IMAGE", "registry.example/redis:9")
    with pytest.raises(ClusterError, match="LAB_REDIS_IMAGE is registry.example/redis:9"):
        engine.build()
    engine.registry(*OFFICIAL.values(), "registry.example/redis:9")
    assert engine.build()[0]["redis"].name == "registry.example/redis:9"
    monkeypatch.setenv("LAB_REDIS_IMAGE", "registry.example/redis:10")
    engine.registry("registry.example/redis:10")  # the base fails before this one is pulled
    engine.image(OFFICIAL["base"]).unlink()
    assert engine.build()[0]["redis"] == Image(
        "registry.example/redis:10", "sha256:id-of-registry.example/redis:10", Origin.OFFICIAL
    )


def test_build_uses_the_files_as_they_were_at_its_start(engine: FakeEngine, files: Path) -> None:
    """Files that change during a build are in the next image, and not in this one."""
    before = recipe.names(OFFICIAL, recipe.read())["node"]
    change = f'touch {files}/lab/c.py; ls "$last/lab" "$last/workloads" > "$ENGINE/context"'
    docker_ = engine.folder / "docker"
    docker_.write_text(docker_.read_text().replace('"build "*)', f'"build "*) {change}'))
    built, _ = engine.build()
    assert (engine.folder / "context").read_text().split()[1::2] == ["a.py", "b.py"]
    assert built["node"].name == before == images.resolve("node").name
    assert engine.n_calls("build") == 1
    assert engine.build()[0]["node"].name == recipe.names(OFFICIAL, recipe.read())["node"] != before


def test_resolve_reports_a_missing_image_with_the_command(engine: FakeEngine) -> None:
    """`resolve` pulls nothing; its error names the command to run."""
    with pytest.raises(ClusterError, match="The image .+ is missing. Run: nox -s images"):
        images.resolve("node")
    assert engine.n_calls("pull") == 0


def test_resolve_ignores_later_changes_of_files(engine: FakeEngine, files: Path) -> None:
    """The images of a process stay the same after a change of the files."""
    engine.build()
    before = images.resolve("node")
    (files / "lab/a.py").write_text("changed")
    assert images.resolve("node") is before


def test_command_prints_a_table_or_an_error(
    engine: FakeEngine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Progress and errors go to standard error, the table to standard output."""
    assert __main__.main([]) == 0
    assert "official" in capsys.readouterr().out
    monkeypatch.setenv("LAB_BASE_IMAGE", "example/missing:1")
    assert __main__.main([]) == 5
    assert capsys.readouterr().err.startswith("  ")
    assert engine.n_calls("pull") == 5


def test_lock_pins_the_pulled_images(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """After `--lock`, images have digests; if a pull fails, no lock file is written."""
    monkeypatch.setattr(official, "LOCK", tmp_path / "images.lock")
    engine.registry(OFFICIAL["base"])
    with pytest.raises(ClusterError):
        official.lock(lambda _: None)
    assert not official.LOCK.exists()
    pinned = {part: f"{tag}@sha256:1" for part, tag in OFFICIAL.items()}
    engine.registry(*OFFICIAL.values(), *pinned.values())
    assert __main__.main(["--lock"]) == 0
    assert official.chosen() == pinned
    assert images.resolve("redis").name == pinned["redis"]


def test_names_depend_on_the_copied_files(files: Path) -> None:
    """A changed file changes the names of the images that contain it; byte code does not count."""

    def names(**sources: str) -> dict[str, str]:
        return recipe.names(OFFICIAL | {"redis": ""} | sources, recipe.read())

    before = names()
    (files / "lab/__pycache__").mkdir()
    (files / "lab/__pycache__/a.pyc").write_text("compiled")
    assert names() == before
    (files / "lab/a.py").write_text("changed")
    changed = names()
    assert {part for part in before if before[part] != changed[part]} == {"node"}
    other = names(base="python:0")
    (files / "lab/a.py").rename(files / "lab/other.py")
    assert names()["node"] not in (before["node"], changed["node"])
    assert {part for part in before if other[part] != changed[part]} == {"base", "redis", "node"}


def test_chosen_reads_compose_file_and_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tags come from compose.yaml, the base from this Python, digests from the lock file."""
    assert OFFICIAL["base"] == f"python:{sys.version_info.major}.{sys.version_info.minor}-slim"
    text = official.COMPOSE_FILE.read_text()
    assert all(f":-{OFFICIAL[server]}}}" in text for server in recipe.SERVERS)
    lock = tmp_path / "images.lock"
    pinned = f"{OFFICIAL['redis']}@sha256:{'0' * 64}"
    lock.write_text(f"{OFFICIAL['redis']}0@sha256:1\n{pinned}\n")
    monkeypatch.setattr(official, "LOCK", lock)
    assert official.chosen() == OFFICIAL | {"redis": pinned}


def in_image(built: Images, *argv: str, user: str = "") -> bytes:
    """Run a program in a container of the node image; return its output."""
    with real_engine() as client:
        return client.containers.run(
            built["node"].name, [*argv], remove=True, network_mode="none", user=user or None
        )


@pytest.mark.cluster
def test_build_of_this_checkout_contains_its_files() -> None:
    """A second build does nothing; the node image contains the checkout's modules."""
    built = images.build(lambda _: None)
    progress: list[str] = []
    assert images.build(progress.append) == built
    assert progress == []
    program = (
        "import sys, lab.driver, lab.worker.execution\n"
        "print(lab.worker.execution.__file__, *sys.version_info[:2])"
    )
    assert in_image(built, "python", "-c", program).decode().split()[0] == (
        "/app/lab/worker/execution.py"
    )
    module = in_image(built, "cat", "/app/lab/worker/execution.py")
    assert module == (recipe.ROOT / "lab/worker/execution.py").read_bytes()


@pytest.mark.cluster
def test_node_image_is_unprivileged_and_contains_no_secrets() -> None:
    """Its user is `lab`, and neither its files nor its history contain pip settings."""
    built = images.build(lambda _: None)
    with real_engine() as client:
        node = client.images.get(built["node"].name)
        steps = [layer["CreatedBy"] for layer in node.history()]
    assert node.attrs["Config"]["User"] == "lab"
    find = ["find", "/", "-xdev", "(", "-name", "pip.conf", "-o", "-path", "/run/secrets/*", ")"]
    assert in_image(built, *find, user="root") == b""
    assert not re.search(r"https?://|cert=", "\n".join(steps))


@pytest.mark.cluster
def test_compose_file_isolates_the_cluster() -> None:
    """No port, privilege, socket or folder of the host; an internal network; labels everywhere.

    Only cron has capabilities, because it switches to the user of each line.
    """
    # The owner must be alive: another lab removes clusters of dead owners.
    labels = {"LAB_RUN": "r", "LAB_OWNER": processes.owner(), "LAB_TRIAL": "t"}
    environment = labels | {"LAB_NODE_IMAGE": "lab-node:1", "LAB_PASSWORD": "p"}
    argv = [
        "compose",
        "-f",
        str(official.COMPOSE_FILE),
        "--profile",
        "*",
        "config",
        "--format=json",
    ]
    config = json.loads(docker_command.run(*argv, environment=environment))
    assert set(config["services"]) == {"driver", "node", *Service}
    capabilities = {
        name: part.pop("cap_add") for name, part in config["services"].items() if "cap_add" in part
    }
    assert capabilities == {"cron": ["DAC_READ_SEARCH", "SETGID", "SETUID"]}
    for part in config["services"].values():
        assert not {"ports", "privileged", "network_mode", "devices"} & part.keys()
        assert {mount["type"] for mount in part.get("volumes", ())} <= {"volume"}
        assert part["init"]
        assert list(part["networks"]) == ["cluster"]
    assert config["networks"]["cluster"]["internal"]
    objects = [
        item for kind in ("services", "networks", "volumes") for item in config[kind].values()
    ]
    assert all({"lab.run", "lab.owner", "lab.trial"} <= item["labels"].keys() for item in objects)
    ledger = config["volumes"]["ledger"]["driver_opts"]
    assert (ledger["type"], ledger["device"]) == ("tmpfs", "tmpfs")
