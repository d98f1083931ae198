"""What goes into each image that is made here, and the name that follows from it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from lab.providers.images import debian

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "compose"
DOCKERFILE = FOLDER / "Dockerfile"
SERVERS = ("redis", "rabbitmq", "postgres")
PREFIX = "lab-"
# What the Dockerfile copies into a target.
COPIED = {
    "node": ("requirements/build.txt", "requirements/bench.txt", "workloads", "lab"),
    "postgres": ("compose/postgres-entrypoint.sh",),
}


Tree = Mapping[str, tuple[bytes, bool]]
"""Files by their path below `ROOT`: the content, and whether it is a program."""


def read() -> dict[str, Tree]:
    """Read what each target is made of: an image is named after the very bytes it is built from.

    Files may change at any time; then the name is that of what was read.
    """
    return {target: dict(_files(target)) for target in (*SERVERS, "node")}


def _files(target: str) -> Iterator[tuple[str, tuple[bytes, bool]]]:
    for path in (DOCKERFILE, *(ROOT / name for name in COPIED.get(target, ()))):
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file() and "__pycache__" not in file.parts:
                name = file.relative_to(ROOT).as_posix()
                yield name, (file.read_bytes(), os.access(file, os.X_OK))


def write(tree: Tree, folder: Path) -> None:
    """Lay files out in a folder, for the Dockerfile to copy from."""
    for name, (content, is_program) in tree.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(0o755 if is_program else 0o644)


def names(sources: Mapping[str, str], trees: Mapping[str, Tree]) -> dict[str, str]:
    """Name the image of the base, of each server and of the node, in the order of making.

    Args:
        sources: For the base and each server the official name; empty where it is made here.
        trees: What each target is made of.
    """
    base = sources["base"] or f"{PREFIX}base:{debian.recipe()}"
    made = {target: made_here(target, base, tree) for target, tree in trees.items()}
    return {"base": base, **made, **{part: sources[part] for part in SERVERS if sources[part]}}


def made_here(target: str, base: str, tree: Tree) -> str:
    """Name what a target of the Dockerfile makes on `base` from these files."""
    digest = hashlib.sha256(f"{target}\n{base}\n".encode())
    for name, (content, is_program) in tree.items():
        digest.update(f"{name} {is_program}\n".encode())
        digest.update(hashlib.sha256(content).digest())
    return f"{PREFIX}{target}:{digest.hexdigest()[: debian.TAG_LENGTH]}"


def is_made_here(name: str) -> bool:
    """Tell whether a name is one that this room gives."""
    return name.startswith(PREFIX)


def variable(part: str) -> str:
    """Name the variable that holds the image of `part`, in compose.yaml and in the environment."""
    return f"LAB_{part.upper()}_IMAGE"
