"""Chooses the provider of clusters if the user names none, and prepares its images."""

from __future__ import annotations

from collections.abc import Callable, Collection

from lab.core.errors import ClusterError
from lab.providers import WORDS, images
from lab.providers.engine import find_engine

LOCAL, CONTAINERS = "local", "compose"


def choose(requested: str | None) -> tuple[str, str]:
    """Return the provider and a sentence with the reason, the first line of `lab bench`.

    Containers are preferred wherever an engine with Compose answers: each backend has cores of its
    own, and a node is isolated by more than a process group.
    """
    if requested is not None:
        return requested, f"Provider: {WORDS.get(requested, requested)}, as requested."
    try:
        engine = find_engine()
    except ClusterError as error:
        # No failure, because processes can be measured as well; the sentence has the next step.
        return LOCAL, f"Provider: {WORDS[LOCAL]}, because containers are not available. {error}"
    why = f"Docker {engine.version} with Compose {engine.compose} is available"
    instead = f"For plain processes instead: --provider {LOCAL}."
    return CONTAINERS, f"Provider: {WORDS[CONTAINERS]}, because {why}. {instead}"


def prepare(providers: Collection[str], progress: Callable[[str], None]) -> None:
    """Build or pull the images that the providers need; a second call does nothing.

    Raises:
        ClusterError: An image can neither be built nor pulled; the message has the next step.
    """
    if CONTAINERS in providers:
        images.build(progress)
