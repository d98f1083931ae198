"""Which provider hosts the clusters when nobody says, and what it must have ready."""

from __future__ import annotations

from collections.abc import Callable, Collection

from lab import images
from lab.engine import find
from lab.errors import ClusterError

LOCAL, CONTAINERS = "local", "compose"


def choose(asked: str | None) -> tuple[str, str]:
    """Return the provider, and the sentence that says which it is and why.

    Containers wherever an engine with Compose answers: there every system has its own cores, and
    a node is more than a process group. The sentence is the first line of `lab bench`.
    """
    if asked is not None:
        return asked, f"Clusters: {asked}, as asked for."
    try:
        engine = find()
    except ClusterError as error:
        return LOCAL, f"Clusters: {LOCAL} processes, not containers. {error}"
    about = f"Docker {engine.version} with Compose {engine.compose} answers"
    return CONTAINERS, f"Clusters: {CONTAINERS}, because {about}."


def prepare(providers: Collection[str], progress: Callable[[str], None]) -> None:
    """Have ready what the providers' clusters are made of; a second call does nothing.

    Raises:
        ClusterError: An image cannot be had; the message says what to do.
    """
    if CONTAINERS in providers:
        images.build(progress)
