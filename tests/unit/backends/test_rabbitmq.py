"""Tests the address of RabbitMQ for clients other than Kombu."""

from __future__ import annotations

import pytest

from lab.backends import _rabbitmq
from lab.core.model import Service, Topology
from lab.planning import registry


@pytest.mark.parametrize("label", ["dramatiq[processes+rabbitmq]", "taskiq[processes+rabbitmq]"])
def test_the_address_has_one_slash(label: str) -> None:
    """Pika and aio-pika would read a second one as a virtual host without a name."""
    endpoints = {str(Service.RABBITMQ): "amqp://lab:secret@127.0.0.1:5672//"}
    setup = registry.setup(registry.select(label), Topology(1, 1, 1), endpoints)
    assert _rabbitmq.address(setup) == "amqp://lab:secret@127.0.0.1:5672/"
