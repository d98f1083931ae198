"""Has what the systems on RabbitMQ share: its part of a variant, its address, its heartbeat."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lab.core.model import BackendContext, Service

# The default of `heartbeat`: after it, RabbitMQ delivers the messages of a silent peer again.
HEARTBEAT_S = 60.0
VARIANT: Mapping[str, Any] = {"services": (Service.RABBITMQ,), "references": ("raw-amqp",)}


def address(setup: BackendContext) -> str:
    """Return the address for clients that read a second slash as a virtual host without a name.

    It is Kombu's name of the default virtual host.
    """
    return setup.endpoints[Service.RABBITMQ].removesuffix("/")
