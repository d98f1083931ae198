"""What goes into each image that is made here, and the name that follows from it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from lab.images import debian

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "compose"
DOCKERFILE = FOLDER / "Dockerfile"
SERVERS = ("redis", "rabbitmq", "postgres")
PREFIX = "lab-"
# What the Dockerfile copies into a target.
COPIED = {
    "node": ("requirements/build.txt", "requirements/bench.txt", "workloads", "lab"),
    "postgres": ("compose/postgres-entrypoint.sh",),
}


def names(sources: Mapping[str, str]) -> dict[str, str]:
    """Name the image of the base, of each server and of the node, in the order of making.

    Args:
        sources: For the base and each server the official name; empty where it is made here.
    """
    base = sources["base"] or f"{PREFIX}base:{debian.recipe()}"
    servers = {server: sources[server] or made_here(server, base) for server in SERVERS}
    return {"base": base, **servers, "node": made_here("node", base)}


def made_here(target: str, base: str) -> str:
    """Name what a target of the Dockerfile makes on `base` from the files as they are now."""
    digest = hashlib.sha256(f"{target}\n{base}\n".encode())
    for file in (DOCKERFILE, *_copied(target)):
        digest.update(f"{file.relative_to(ROOT).as_posix()}\n".encode())
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return f"{PREFIX}{target}:{digest.hexdigest()[: debian.TAG_LENGTH]}"


def is_made_here(name: str) -> bool:
    """Tell whether a name is one that this room gives."""
    return name.startswith(PREFIX)


def variable(part: str) -> str:
    """Name the variable that holds the image of `part`, in compose.yaml and in the environment."""
    return f"LAB_{part.upper()}_IMAGE"


def _copied(target: str) -> Iterator[Path]:
    for name in COPIED.get(target, ()):
        path = ROOT / name
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        yield from (f for f in files if f.is_file() and "__pycache__" not in f.parts)
