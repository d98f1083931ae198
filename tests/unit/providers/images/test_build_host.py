"""Tests the secrets that a build receives, and the messages of a failed build."""

from __future__ import annotations

import re
import stat
import sys
from pathlib import Path

import pytest

from lab.core.errors import ClusterError
from lab.providers.images import build_host, steps


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for pip.conf, on a machine without other pip settings."""
    for name in [*build_host.CERTIFICATES, "XDG_CONFIG_HOME", "PIP_CONFIG_FILE"]:
        monkeypatch.delenv(name, raising=False)
    for name in ("PIP_FIND_LINKS", "PIP_DEFAULT_TIMEOUT", "PIP_DISABLE_PIP_VERSION_CHECK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(build_host, "_files", lambda: [tmp_path / "pip.conf"])
    return tmp_path


def test_secrets_is_empty_without_settings(home: Path) -> None:
    """A machine without pip settings passes nothing to the build."""
    assert build_host.secrets(home) == {}


def test_secrets_contains_certificates_and_index(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Addresses are included, the environment has priority, and local folders are left out."""
    (home / "pip.conf").write_text(
        f"[global]\ncert = {home}/ca.pem\nindex-url = https://a.example/simple\n"
        "extra-index-url = file:///packages https://b.example\nfind-links = /wheels\n"
    )
    (home / "ca.pem").write_text("certificates")
    (home / "secrets").mkdir()
    monkeypatch.setenv("PIP_INDEX_URL", "https://c.example/simple")
    secrets = build_host.secrets(home / "secrets")
    assert secrets["certificates"].read_text() == "certificates"
    assert secrets["pip"].read_text() == (
        "[global]\nindex-url = https://c.example/simple\nextra-index-url = https://b.example\n"
    )
    assert stat.S_IMODE(secrets["pip"].stat().st_mode) == 0o600


def failed_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *lines: str) -> str:
    """Run a program that prints these lines and fails; return the error message."""
    monkeypatch.setattr(steps, "LOG", tmp_path / "build.log")
    argv = [sys.executable, "-c", f"print({chr(10).join(lines)!r}); raise SystemExit(1)"]
    progress: list[str] = []
    with pytest.raises(ClusterError) as caught:
        steps.run("lab-node:1", argv, re.compile(r"#\d+ \[(.+)\]"), progress.append, {})
    assert (tmp_path / "build.log").read_text().splitlines() == list(lines)
    assert progress == ["lab-node: COPY"] * any("COPY" in line for line in lines)
    return str(caught.value)


def test_failed_build_quotes_the_last_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message quotes the step's last line, and names the log."""
    lines = ("#1 [COPY]", "#1 [COPY]", "#1 0.5 No matching distribution.", "#1 ERROR: code: 1", "")
    message = failed_build(tmp_path, monkeypatch, *lines)
    assert message.startswith("The build of image lab-node:1 failed: No matching distribution.")
    assert message.endswith("build.log, then run: nox -s images")


def test_failed_build_reports_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk has its own message, with the command that frees space."""
    lines = ("#1 [COPY]", "#1 3.2 OSError: [Errno 28] No space left on device", "#1 ERROR: 1")
    message = failed_build(tmp_path, monkeypatch, *lines)
    assert message == "The container engine's disk is full. Run: docker system prune"


def test_failed_build_reports_the_engine_before_the_first_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failure before the first step is an error of the engine."""
    lines = ("ERROR: Cannot connect to the Docker daemon at unix:///run/docker.sock.",)
    assert failed_build(tmp_path, monkeypatch, *lines).startswith("No container engine answers.")
