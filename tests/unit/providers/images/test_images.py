"""The images of clusters in containers: what they are called, how they are had, what they hold."""

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
from lab.providers import images
from lab.providers.engine import docker
from lab.providers.images import Image, Origin, __main__, official, recipe
from tests.factories.fake_engine import MadeUpEngine

OFFICIAL = official.chosen()


@pytest.fixture(autouse=True)
def _nothing_resolved() -> Iterator[None]:
    """What one test resolved is not what another one meets."""
    images.resolve.cache_clear()
    yield
    images.resolve.cache_clear()


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MadeUpEngine:
    """An engine without images, and a registry that has everything official."""
    return MadeUpEngine(tmp_path, monkeypatch)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small tree in the place of the checkout's."""
    for name in ("compose/Dockerfile", "requirements/bench.txt", "lab/a.py", "workloads/b.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    monkeypatch.setattr(recipe, "ROOT", tmp_path)
    monkeypatch.setattr(recipe, "DOCKERFILE", tmp_path / "compose/Dockerfile")
    return tmp_path


def test_official_images_are_pulled_once(engine: MadeUpEngine) -> None:
    """Where a registry answers, its images are used; a second call does nothing."""
    first, told = engine.build()
    assert told[0] == f"Pulling {OFFICIAL['base']}."
    assert [image.origin for image in (first.node, first.redis)] == [Origin.OFFICIAL] * 2
    assert first.redis.name == OFFICIAL["redis"]
    assert first.redis.id == f"sha256:id-of-{OFFICIAL['redis']}"
    assert (engine.asked("pull"), engine.asked("build"), engine.asked("import")) == (4, 1, 0)
    second, told = engine.build()
    assert (second, told) == (first, [])
    assert (engine.asked("pull"), engine.asked("build")) == (4, 1)


def test_without_a_registry_everything_is_made_here(engine: MadeUpEngine) -> None:
    """It is asked once, one sentence says so, and a second call does not ask again."""
    engine.registry()
    made, told = engine.build()
    assert len([line for line in told if "Debian packages" in line]) == 1
    assert {image.origin for image in (made.node, made.redis, made.postgres)} == {Origin.LOCAL}
    assert (engine.asked("pull"), engine.asked("import"), engine.asked("build")) == (1, 1, 4)
    assert engine.build() == (made, [])
    assert engine.asked("pull") == 1
    (engine.folder / "images.env").unlink()
    engine.registry(*OFFICIAL.values())
    assert engine.build()[0].redis.origin == Origin.OFFICIAL


def test_what_the_registry_lacks_is_made_on_what_it_has(engine: MadeUpEngine) -> None:
    """A registry without one server's image still gives the base of all that is made."""
    engine.registry(OFFICIAL["base"], OFFICIAL["redis"])
    made, _ = engine.build()
    origins = (made.node.origin, made.redis.origin, made.rabbitmq.origin)
    assert origins == (Origin.OFFICIAL, Origin.OFFICIAL, Origin.LOCAL)
    assert engine.asked("import") == 0


def test_an_image_that_the_user_named_is_never_replaced(
    engine: MadeUpEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environment wins over compose.yaml, and what it names is had or the build ends."""
    monkeypatch.setenv("LAB_REDIS_IMAGE", "registry.example/redis:9")
    with pytest.raises(ClusterError, match="LAB_REDIS_IMAGE is registry.example/redis:9"):
        engine.build()
    engine.registry(*OFFICIAL.values(), "registry.example/redis:9")
    assert engine.build()[0].environment["LAB_REDIS_IMAGE"] == "registry.example/redis:9"
    monkeypatch.setenv("LAB_REDIS_IMAGE", "registry.example/redis:10")
    engine.registry("registry.example/redis:10")  # the base is refused before it is asked for
    (engine.folder / "images" / OFFICIAL["base"].replace(":", "-")).unlink()
    assert engine.build()[0].redis == Image(
        "registry.example/redis:10", "sha256:id-of-registry.example/redis:10", Origin.OFFICIAL
    )


def test_an_image_is_made_of_the_bytes_that_it_is_named_after(
    engine: MadeUpEngine, files: Path
) -> None:
    """Files that change during a build are in the next image, and not in this one."""
    before = recipe.names(OFFICIAL, recipe.read())["node"]
    change = f'touch {files}/lab/c.py; ls "$last/lab" "$last/workloads" > "$ENGINE/context"'
    docker_ = engine.folder / "docker"
    docker_.write_text(docker_.read_text().replace('"build "*)', f'"build "*) {change}'))
    made, _ = engine.build()
    assert (engine.folder / "context").read_text().split()[1::2] == ["a.py", "b.py"]
    assert made.node.name == before == images.resolve().node.name
    assert engine.asked("build") == 1
    assert engine.build()[0].node.name == recipe.names(OFFICIAL, recipe.read())["node"] != before


def test_a_missing_image_is_told_with_what_mends_it(engine: MadeUpEngine) -> None:
    """To look for images changes nothing, and says what to run."""
    with pytest.raises(ClusterError, match="The image .+ is missing. Run: nox -s images"):
        images.resolve()
    assert engine.asked("pull") == 0


def test_a_campaign_keeps_its_images_while_files_change(engine: MadeUpEngine, files: Path) -> None:
    """What was resolved stays for the life of the process."""
    engine.build()
    before = images.resolve()
    (files / "lab/a.py").write_text("changed")
    assert images.resolve() is before


def test_the_command_ends_with_a_table_or_a_sentence(
    engine: MadeUpEngine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Steps and errors go to standard error, the images to standard output."""
    assert __main__.main([]) == 0
    assert "official" in capsys.readouterr().out
    monkeypatch.setenv("LAB_BASE_IMAGE", "nobody/has:it")
    assert __main__.main([]) == 5
    assert capsys.readouterr().err.startswith("  ")
    assert engine.asked("pull") == 5


def test_a_lock_pins_what_is_pulled(
    engine: MadeUpEngine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """After `--lock` contents are named, not tags; a registry that fails leaves no half lock."""
    monkeypatch.setattr(official, "LOCK", tmp_path / "images.lock")
    engine.registry(OFFICIAL["base"])
    with pytest.raises(ClusterError):
        official.lock(lambda _: None)
    assert not official.LOCK.exists()
    pinned = {part: f"{tag}@sha256:1" for part, tag in OFFICIAL.items()}
    engine.registry(*OFFICIAL.values(), *pinned.values())
    assert __main__.main(["--lock"]) == 0
    assert official.chosen() == pinned
    assert images.resolve().redis.name == pinned["redis"]


def test_a_name_follows_from_what_is_copied(files: Path) -> None:
    """A changed file renames what holds it, and nothing else; byte code is no change."""

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


def test_official_names_stand_in_one_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tags come from compose.yaml, the base from this Python, and a lock pins their content."""
    assert OFFICIAL["base"] == f"python:{sys.version_info.major}.{sys.version_info.minor}-slim"
    text = official.COMPOSE_FILE.read_text()
    assert all(f":-{OFFICIAL[server]}}}" in text for server in recipe.SERVERS)
    lock = tmp_path / "images.lock"
    pinned = f"{OFFICIAL['redis']}@sha256:{'0' * 64}"
    lock.write_text(f"{OFFICIAL['redis']}0@sha256:1\n{pinned}\n")
    monkeypatch.setattr(official, "LOCK", lock)
    assert official.chosen() == OFFICIAL | {"redis": pinned}


@pytest.mark.cluster
def test_the_images_of_this_checkout_are_made_and_then_found() -> None:
    """After a build everything is here, what a name says is in it, and no more is to be done."""
    made, told = images.build(lambda _: None), list[str]()
    assert images.build(told.append) == made
    assert told == []
    look = (
        "import sys, lab.driver, lab.worker.execution\n"
        "print(lab.worker.execution.__file__, *sys.version_info[:2])"
    )
    seen = docker("run", "--rm", "--network=none", made.node.name, "python", "-c", look).decode()
    assert seen.split()[0] == "/app/lab/worker/execution.py"
    kernel = docker(
        "run", "--rm", "--network=none", made.node.name, "cat", "/app/lab/worker/execution.py"
    )
    assert kernel == (recipe.ROOT / "lab/worker/execution.py").read_bytes()


@pytest.mark.cluster
def test_workers_are_nobody_and_the_secrets_stay_outside() -> None:
    """The node image runs as a user without rights, and holds no setting of pip's."""
    node = images.build(lambda _: None).node.name
    assert docker("image", "inspect", "--format", "{{.Config.User}}", node) == b"lab\n"
    find = ["find", "/", "-xdev", "(", "-name", "pip.conf", "-o", "-path", "/run/secrets/*", ")"]
    assert docker("run", "--rm", "--network=none", "--user=root", node, *find) == b""
    words = docker("history", "--no-trunc", "--format", "{{.CreatedBy}}", node).decode()
    assert not re.search(r"https?://|cert=", words)


@pytest.mark.cluster
def test_the_compose_file_lets_nothing_in_or_out() -> None:
    """No port, no privilege, no socket, no folder of the host; an internal network; labels.

    Only cron, which becomes the user of each line, has capabilities; no other part has any to gain.
    """
    # A living owner's: a lab that begins beside this test kills what belongs to a dead one.
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
    told = json.loads(docker(*argv, environment=environment))
    assert set(told["services"]) == {"driver", "node", *Service}
    given = {
        name: part.pop("cap_add") for name, part in told["services"].items() if "cap_add" in part
    }
    assert given == {"cron": ["DAC_READ_SEARCH", "SETGID", "SETUID"]}
    for part in told["services"].values():
        assert not {"ports", "privileged", "network_mode", "devices"} & part.keys()
        assert {mount["type"] for mount in part.get("volumes", ())} <= {"volume"}
        assert part["init"]
        assert list(part["networks"]) == ["cluster"]
    assert told["networks"]["cluster"]["internal"]
    objects = [*told["services"].values(), *told["networks"].values(), *told["volumes"].values()]
    assert all({"lab.run", "lab.owner", "lab.trial"} <= thing["labels"].keys() for thing in objects)
    ledger = told["volumes"]["ledger"]["driver_opts"]
    assert (ledger["type"], ledger["device"]) == ("tmpfs", "tmpfs")
