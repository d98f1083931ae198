"""A build meets the machine as it is: its certificates, its package index, its full disk."""

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
    """A user without settings of pip, on a machine without any."""
    for name in [*build_host.CERTIFICATES, "XDG_CONFIG_HOME", "PIP_CONFIG_FILE"]:
        monkeypatch.delenv(name, raising=False)
    for name in ("PIP_FIND_LINKS", "PIP_DEFAULT_TIMEOUT", "PIP_DISABLE_PIP_VERSION_CHECK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(build_host, "_files", lambda: [tmp_path / "pip.conf"])
    return tmp_path


def test_an_ordinary_machine_has_no_secrets(home: Path) -> None:
    """Without settings, nothing is handed to the build."""
    assert build_host.secrets(home) == {}


def test_a_build_gets_the_machines_certificates_and_index(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Addresses go along and the environment wins; folders of this machine stay here."""
    (home / "pip.conf").write_text(
        f"[global]\ncert = {home}/ca.pem\nindex-url = https://a.example/simple\n"
        "extra-index-url = file:///packages https://b.example\nfind-links = /wheels\n"
    )
    (home / "ca.pem").write_text("certificates")
    (home / "made").mkdir()
    monkeypatch.setenv("PIP_INDEX_URL", "https://c.example/simple")
    found = build_host.secrets(home / "made")
    assert found["certificates"].read_text() == "certificates"
    assert found["pip"].read_text() == (
        "[global]\nindex-url = https://c.example/simple\nextra-index-url = https://b.example\n"
    )
    assert stat.S_IMODE(found["pip"].stat().st_mode) == 0o600


def printing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *lines: str) -> str:
    """Run a program that prints these lines and fails; return the sentence that comes of it."""
    monkeypatch.setattr(steps, "LOG", tmp_path / "build.log")
    argv = [sys.executable, "-c", f"print({chr(10).join(lines)!r}); raise SystemExit(1)"]
    told: list[str] = []
    with pytest.raises(ClusterError) as caught:
        steps.run("lab-node:1", argv, re.compile(r"#\d+ \[(.+)\]"), told.append, {})
    assert (tmp_path / "build.log").read_text().splitlines() == list(lines)
    assert told == ["lab-node: COPY"] * any("COPY" in line for line in lines)
    return str(caught.value)


def test_a_build_that_fails_quotes_the_last_that_was_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sentence has the step's own words, and names the log."""
    lines = ("#1 [COPY]", "#1 [COPY]", "#1 0.5 No matching distribution.", "#1 ERROR: code: 1", "")
    sentence = printing(tmp_path, monkeypatch, *lines)
    assert sentence.startswith("The build of image lab-node:1 failed: No matching distribution.")
    assert sentence.endswith("build.log, then run: nox -s images")


def test_a_full_disk_in_a_build_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the step was, the disk is what must be mended."""
    lines = ("#1 [COPY]", "#1 3.2 OSError: [Errno 28] No space left on device", "#1 ERROR: 1")
    sentence = printing(tmp_path, monkeypatch, *lines)
    assert sentence == "The container engine's disk is full. Run: docker system prune"


def test_a_build_that_never_began_is_the_engines_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the first step, what failed is the engine."""
    lines = ("ERROR: Cannot connect to the Docker daemon at unix:///run/docker.sock.",)
    assert printing(tmp_path, monkeypatch, *lines).startswith("No container engine answers.")
