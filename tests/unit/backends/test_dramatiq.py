"""Tests the brokers that the adapter of dramatiq creates, without a server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab.backends.dramatiq import OFFLINE_S, Dramatiq
from lab.core.model import Service, Topology
from lab.planning import registry

ENDPOINTS: dict[str, str] = {
    Service.REDIS: "redis://:secret@127.0.0.1:6379/0",
    Service.RABBITMQ: "amqp://lab:secret@127.0.0.1:5672//",
}
LABELS = [
    f"dramatiq[{variant.name}]@{profile.name}"
    for variant in Dramatiq.variants
    for profile in registry.profiles_of(Dramatiq, variant.name)
]


@pytest.fixture
def backend(request: pytest.FixtureRequest) -> Iterator[Dramatiq]:
    """Start the client of a label, which does not connect."""
    setup = registry.setup(registry.select(request.param), Topology(1, 2, 2), ENDPOINTS)
    started = Dramatiq(setup)
    started.start()
    yield started
    started.stop()


@pytest.mark.parametrize("backend", LABELS, indirect=True)
def test_settings_in_force_have_defaults_and_no_address(backend: Dramatiq) -> None:
    """Those of the profile are in force, and the middleware that retries has its default."""
    settings = backend.effective_settings()
    assert dict(backend.setup.settings).items() <= dict(settings).items()
    assert settings["middleware"]["Retries"]["max_retries"] == 20
    assert "secret" not in str(settings)
    assert "broker_id" not in settings
    assert settings.get("heartbeat_timeout", 60_000) == OFFLINE_S * 1e3


@pytest.mark.parametrize("backend", ["dramatiq[processes+rabbitmq]@safe"], indirect=True)
def test_rabbitmq_is_addressed_by_its_default_virtual_host(backend: Dramatiq) -> None:
    """Kombu's URL of it has two slashes, which pika reads as an unnamed one."""
    assert backend._broker.parameters.virtual_host == "/"
    assert backend._broker.confirm_delivery
