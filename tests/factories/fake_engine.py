"""Fakes a container engine, an image registry and a bootstrap program, as programs on PATH."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lab.providers import images
from lab.providers.images import debian, official, steps

# A file in images/ is an image. `pull` succeeds for the names in the file `registry`. The program
# finds its folder from $0, because the lab passes only listed variables to a client of the engine.
ENGINE = """#!/bin/sh
ENGINE=$(dirname "$0")
echo "$*" >> "$ENGINE/calls"
file() { echo "$ENGINE/images/$(echo "$1" | tr /:@ ---)"; }
for last; do :; done
case "$1 $2" in
version*) echo 20.10 ;;
"compose version") echo 2.26 ;;
"context inspect") echo unix:///run/docker.sock ;;
"image inspect")
    case "$4" in
    *RepoDigests*) echo "[\\"other/${5%:*}@sha256:0\\", \\"${5%:*}@sha256:1\\"]"; exit ;;
    esac
    shift 4
    for image; do
        [ -e "$(file "$image")" ] || { echo "Error: No such image: $image" >&2; exit 1; }
        echo "sha256:id-of-$image"
    done ;;
"pull --quiet")
    case " $(cat "$ENGINE/registry") " in
    *" $last "*) touch "$(file "$last")" ;;
    *) echo 'Get "https://registry/v2/": no such host' >&2; exit 1 ;;
    esac ;;
"build "*)
    echo "#5 [node 1/2] COPY lab lab"
    for word; do case $word in --tag=*) touch "$(file "${word#--tag=}")" ;; esac; done ;;
"import "*) touch "$(file "$last")" ;;
esac
"""
BOOTSTRAP = """#!/bin/sh
echo 'I: running apt-get update...'
"""


class MadeUpEngine:
    """Fake programs for a build, with a record of the commands that it ran."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        (folder / "images").mkdir()
        for name, text in (("docker", ENGINE), ("mmdebstrap", BOOTSTRAP)):
            (folder / name).write_text(text)
            (folder / name).chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
        monkeypatch.setattr(images, "RECORD", folder / "images.env")
        monkeypatch.setattr(steps, "LOG", folder / "build.log")
        monkeypatch.setattr(debian, "_release", lambda: ("debian", "bookworm"))
        self.registry(*official.chosen().values())

    def registry(self, *names: str) -> None:
        """Set the images of the registry."""
        (self.folder / "registry").write_text(" ".join(names), encoding="utf-8")

    def build(self) -> tuple[images.Images, list[str]]:
        """Build the images; return them and the progress messages."""
        messages: list[str] = []
        return images.build(messages.append), messages

    def n_calls(self, command: str) -> int:
        """Return how many commands with this beginning have run."""
        lines = (self.folder / "calls").read_text(encoding="utf-8").splitlines()
        return sum(line.startswith(command) for line in lines)
