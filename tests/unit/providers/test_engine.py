"""Tests the connection to the container engine: its address, and what its failures become."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from docker.context.config import get_context_id

from lab.core.errors import ClusterError
from lab.providers import engine
from lab.providers.engine_errors import NO_ENGINE
from tests.factories.fake_engine import FakeEngine, listening

SOCKET = "unix:///run/elsewhere.sock"


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Provide a folder for Docker's settings, with a context `far` that is not the current one."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "contexts" / "meta" / get_context_id("far")
    folder.mkdir(parents=True)
    meta = {"Name": "far", "Metadata": {}, "Endpoints": {"docker": {"Host": SOCKET}}}
    (folder / "meta.json").write_text(json.dumps(meta), encoding="utf-8")
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    return tmp_path


def test_the_endpoint_is_that_of_dockers_command(
    settings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DOCKER_HOST has priority over DOCKER_CONTEXT, and this over the current context."""
    assert engine.endpoint() == "unix:///var/run/docker.sock"
    (settings / "config.json").write_text('{"currentContext": "far"}', encoding="utf-8")
    assert engine.endpoint() == SOCKET
    monkeypatch.setenv("DOCKER_CONTEXT", "default")
    assert engine.endpoint() == "unix:///var/run/docker.sock"
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    assert engine.endpoint() == "tcp://127.0.0.1:1"


def test_the_client_connects_to_the_context(
    settings: Path, tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The SDK and Docker's command must use one engine."""
    folder = tmp_path / "engine"
    folder.mkdir()
    with listening(FakeEngine(folder), temporary / "socket") as address:
        for file in settings.glob("contexts/meta/*/meta.json"):
            file.write_text(file.read_text().replace(SOCKET, address), encoding="utf-8")
        monkeypatch.setenv("DOCKER_CONTEXT", "far")
        with engine.engine() as client:
            assert client.version()["Version"] == "20.10"


@pytest.mark.usefixtures("settings")
def test_a_missing_context_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK would silently use the engine of this machine."""
    monkeypatch.setenv("DOCKER_CONTEXT", "typo")
    with pytest.raises(ClusterError, match="context does not exist. Run: docker context ls"):
        engine.find_engine()


@pytest.fixture
def hanging(temporary: Path) -> Iterator[str]:
    """Listen like an engine that never answers; yield its address."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(temporary / "socket"))
        server.listen()
        yield f"unix://{temporary}/socket"


def test_an_engine_that_hangs_is_reported(hanging: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first request has a short time limit."""
    monkeypatch.setenv("DOCKER_HOST", hanging)
    monkeypatch.setattr(engine, "FIRST_ANSWER_S", 0.1)
    with pytest.raises(ClusterError, match="did not answer in time. Run: lab doctor"):
        engine.find_engine()


@pytest.mark.parametrize("has_ended", [False, True])
def test_without_an_engine_the_error_has_the_next_step(
    has_ended: bool, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The socket is missing, or nothing listens on it any more."""
    if has_ended:
        with socket.socket(socket.AF_UNIX) as ended:
            ended.bind(str(temporary / "socket"))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{temporary}/socket")
    with pytest.raises(ClusterError) as caught:
        engine.find_engine()
    assert str(caught.value) == NO_ENGINE


def test_an_error_of_the_engine_becomes_a_sentence(
    tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine's own text decides on the sentence."""
    with listening(FakeEngine(tmp_path), temporary / "socket") as address:
        monkeypatch.setenv("DOCKER_HOST", address)
        with pytest.raises(ClusterError) as caught, engine.engine() as client:
            client.images.get("lab-node:1")
    assert str(caught.value) == "The image lab-node:1 is missing. Run: nox -s images"


@pytest.mark.usefixtures("settings")
def test_named_engines_are_addresses_and_contexts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine of Docker's command has an empty address, so that no host is named twice."""
    assert engine.named_engines() == ()
    monkeypatch.setenv("LAB_ENGINES", "far  default ssh://me@n3 far")
    assert engine.named_engines() == (SOCKET, "", "ssh://me@n3")
    monkeypatch.setenv("LAB_ENGINES", "near")
    with pytest.raises(ClusterError, match=r"near does not exist. Run: docker context ls"):
        engine.named_engines()


def test_a_named_engine_answers_itself(
    tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever DOCKER_HOST says."""
    monkeypatch.setenv("DOCKER_HOST", SOCKET)
    with (
        listening(FakeEngine(tmp_path), temporary / "socket") as address,
        engine.engine(address) as client,
    ):
        assert client.version()["Version"] == "20.10"
