"""Tests Docker's command where it is missing, old, or hangs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lab.core.errors import ClusterError
from lab.providers import docker_command


def command(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace Docker's command by a script."""
    program = folder / "docker"
    program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)


def test_without_the_command_the_error_has_the_next_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message states how to install Docker, and how to measure without it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ClusterError, match="not installed. Run: .+ --provider local"):
        docker_command.compose_version()


def test_an_old_compose_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compose 1 accepts the same commands and lacks features that the lab needs."""
    command(tmp_path, "echo 1.29.2", monkeypatch)
    with pytest.raises(ClusterError, match="Docker Compose is 1.29.2; 2 or newer is needed"):
        docker_command.compose_version()


def test_a_command_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the command, and the next step."""
    command(tmp_path, "exec sleep 60", monkeypatch)
    with pytest.raises(ClusterError, match="docker compose did not end in 0 s. Run: lab doctor"):
        docker_command.run("compose", "up", patience_s=0.2)
