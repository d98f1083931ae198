"""Reads the inputs of each image that is built here, and derives the image's name from them."""

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
# The paths that the Dockerfile copies into a target.
COPIED = {
    "node": ("requirements/build.txt", "requirements/bench.txt", "workloads", "lab"),
    "postgres": ("compose/postgres-entrypoint.sh",),
}


Tree = Mapping[str, tuple[bytes, bool]]
"""Files by their path relative to `ROOT`: the content, and whether it is executable."""


def read() -> dict[str, Tree]:
    """Read the input files of each target.

    An image is named and built from these bytes, so that later changes of files have no effect.
    """
    return {target: dict(_files(target)) for target in (*SERVERS, "node")}


def _files(target: str) -> Iterator[tuple[str, tuple[bytes, bool]]]:
    for path in (DOCKERFILE, *(ROOT / name for name in COPIED.get(target, ()))):
        # Sorted, because the hash depends on the order, which differs between file systems.
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            # Byte code appears when the lab runs, and would give the same image another name.
            if file.is_file() and "__pycache__" not in file.parts:
                name = file.relative_to(ROOT).as_posix()
                yield name, (file.read_bytes(), os.access(file, os.X_OK))


def write(tree: Tree, folder: Path) -> None:
    """Write the files into a folder, the build context."""
    for name, (content, is_program) in tree.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        # COPY keeps modes, and these must not depend on the umask of the user.
        path.chmod(0o755 if is_program else 0o644)


def names(sources: Mapping[str, str], trees: Mapping[str, Tree]) -> dict[str, str]:
    """Return the image names of the base, of each server and of the node, in build order.

    Args:
        sources: The official name for the base and each server; empty: it is built here.
        trees: The input files of each target.
    """
    base = sources["base"] or base_image()
    built = {target: local_image_name(target, base, tree) for target, tree in trees.items()}
    return {"base": base, **built, **{part: sources[part] for part in SERVERS if sources[part]}}


def base_image(release: str = "") -> str:
    """Return the name of the base of a release of Debian; empty: that of the machine."""
    return f"{PREFIX}base:{debian.recipe(release)}"


def local_image_name(target: str, base: str, tree: Tree) -> str:
    """Return the name of the image that the Dockerfile's target builds on `base` from `tree`."""
    digest = hashlib.sha256(f"{target}\n{base}\n".encode())
    for name, (content, is_program) in tree.items():
        digest.update(f"{name} {is_program}\n".encode())
        # A hash has a fixed length, so no content is read as the name of a further file.
        digest.update(hashlib.sha256(content).digest())
    return f"{PREFIX}{target}:{digest.hexdigest()[: debian.TAG_LENGTH]}"


def is_built_locally(name: str) -> bool:
    """Return whether an image of this name is built here."""
    return name.startswith(PREFIX)


def variable(part: str) -> str:
    """Return the name of the variable for the image of `part`, in compose.yaml and environment."""
    return f"LAB_{part.upper()}_IMAGE"
