"""Runs the agent in a container beside the measured ones, which have no capability themselves."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lab.providers import images
from lab.providers.compose_override import TRIAL
from lab.providers.container_agent import ContainerAgent
from lab.providers.engine import engine


class HelperContainer:
    """A container of the nodes' image with some capabilities, and the agent in it.

    It runs as root, because the engine gives no capability to other users.

    Args:
        labels: Those of its trial, by which it is removed.
        log: The file for the messages of the agent.
        address: That of its engine; empty: the engine of Docker's command.
        options: Further options of the engine's SDK, such as its capabilities.
    """

    def __init__(
        self, labels: Mapping[str, str], log: Path, address: str = "", **options: Any
    ) -> None:
        self._address = address
        with engine(address) as client:
            started = client.containers.run(
                images.resolve(images.NODE).id,
                ["sleep", "infinity"],
                detach=True,
                init=True,
                user="root",
                read_only=True,
                cap_drop=["ALL"],
                labels={**labels},
                **options,
            )
        self._id = str(started.id)
        self.agent = ContainerAgent(self._id, TRIAL, log, address)

    def remove(self) -> None:
        """Remove the container now, and not only at the end of its trial."""
        self.agent.stop()
        with engine(self._address) as client:
            client.api.remove_container(self._id, force=True, v=True)
