"""Chooses the provider of clusters if the user names none, and prepares its images."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

from lab.core.backend import services_of
from lab.core.errors import ClusterError
from lab.core.model import Service, TrialSpec
from lab.planning import registry
from lab.providers import PROVIDERS, WORDS, images, swarm_images
from lab.providers.engine import find_engine

LOCAL, CONTAINERS, SWARM = "local", "compose", "swarm"


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


def prepare(specs: Collection[TrialSpec], progress: Callable[[str], None]) -> None:
    """Build or pull the images that trials need; a second call does nothing.

    Raises:
        ClusterError: An image can neither be built nor pulled, or a host of the swarm is not
            usable; the message has the next step.
    """
    in_containers = [spec for spec in specs if spec.provider in (CONTAINERS, SWARM)]
    services = {service for spec in in_containers for service in _services(spec)}
    if in_containers:
        images.build(progress, services)
    if any(spec.provider == SWARM for spec in in_containers):
        swarm_images.bring(progress, services)


def _services(spec: TrialSpec) -> Sequence[Service]:
    return services_of(registry.select(spec.label).backend, spec.variant)


def prepare_environments(specs: Iterable[TrialSpec], progress: Callable[[str], None]) -> None:
    """Create the environments of trials that do not exist yet.

    Raises:
        UsageError: One cannot exist: no such version or interpreter, no wheel, or a conflict.
        LabError: The creation failed.
    """
    of_provider: dict[str, list[TrialSpec]] = {}
    for spec in specs:
        if spec.environment:
            of_provider.setdefault(spec.provider, []).append(spec)
    for provider, needed in of_provider.items():
        PROVIDERS[provider].environments.prepare(needed, progress)
