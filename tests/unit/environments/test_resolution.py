"""Tests how the requirements of an environment are given to uv, and what comes back."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.environments import checkouts, resolution, uv
from lab.environments.recipe import Recipe

TARGET = ("--python-version", "3.13.5")
PINNED = "rq==2.6.0 \\\n    --hash=sha256:0 \\\n    --hash=sha256:2\n"


def test_the_lock_is_preferred_and_checkouts_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Uv reads the lock from its output file; a folder has no hash, so it is installed apart."""
    (checkout := tmp_path / "checkout").mkdir()
    (checkout / "setup.py").write_text("")
    digest = checkouts.digest("celery", f"file:{checkout}")
    recipe = Recipe("image", "", (f"celery[redis] @ {digest}", "rq==2.6.0"), "redis==5.0.0")
    given: list[tuple[str, ...]] = []

    def run(*arguments: str, about: str) -> str:
        del about
        given.append(arguments)
        output = Path(arguments[-1])
        assert output.read_text() == "redis==5.0.0"
        wanted = (output.parent / resolution.WANTED).read_text()
        assert wanted == f"celery[redis] @ {checkout.as_uri()}\nrq==2.6.0\n"
        # With the hash of the pinned release, whose version is that of the checkout.
        output.write_text(f"celery @ {checkout.as_uri()} \\\n    --hash=sha256:1\n{PINNED}")
        return ""

    monkeypatch.setattr(uv, "run", run)
    pinned = resolution.resolve(tmp_path, recipe, TARGET, "an environment")
    assert pinned == PINNED
    assert {*TARGET, "--only-binary=:all:", "--no-binary=celery"} <= {*given[0]}
    assert resolution.checkouts_of(recipe, "an environment") == {"celery": checkout}
