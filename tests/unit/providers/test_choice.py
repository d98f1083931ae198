"""Tests the first line of a run: which provider hosts its clusters, why, and how to choose."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from lab.core.errors import ClusterError
from lab.core.model import Service
from lab.providers import PROVIDERS, WORDS, choice, images
from tests.conftest import RunCli
from tests.factories.trials import spec_of


def test_the_line_has_the_provider_the_reason_and_the_other_choice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A reader who expected plain processes learns how to select them."""
    engine = SimpleNamespace(version="26.1", compose="2.27")
    monkeypatch.setattr(choice, "find_engine", lambda: engine)
    why = "because Docker 26.1 with Compose 2.27 is available"
    line = f"Provider: compose (containers), {why}. For plain processes instead: --provider local."
    assert choice.choose(None) == ("compose", line)
    assert choice.choose("local") == ("local", "Provider: local (plain processes), as requested.")


def test_without_an_engine_the_line_has_its_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error has the next step."""
    problem = "No container engine answers. Run: lab doctor"

    def fail() -> None:
        raise ClusterError(problem)

    monkeypatch.setattr(choice, "find_engine", fail)
    line = f"Provider: local (plain processes), because containers are not available. {problem}"
    assert choice.choose(None) == ("local", line)


def test_a_run_prepares_the_images_of_its_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes need none."""
    built = list[set[str]]()
    monkeypatch.setattr(images, "build", lambda _, services: built.append({*services}))
    labels = ("celery[prefork]", "thread-pool", "raw-amqp", "dask[distributed]")
    specs = [spec_of(label, provider="compose") for label in labels]
    choice.prepare(specs, lambda _: None)
    choice.prepare([spec_of("celery[prefork]")], lambda _: None)
    assert built == [{Service.REDIS, Service.RABBITMQ, Service.DASK_SCHEDULER}]
    # Some claims need containers, and the others processes.
    choice.prepare([spec_of("celery[prefork]"), spec_of("raw-amqp", provider="compose")], print)
    assert built[1:] == [{Service.RABBITMQ}]


def test_the_help_explains_each_provider(run_cli: RunCli) -> None:
    """A provider without words would be a name alone."""
    assert set(WORDS) == set(PROVIDERS)
    text = " ".join(run_cli("bench", "--help").stdout.split())
    names = "local (plain processes) or compose (containers) or swarm (containers on many machines)"
    assert f"hosts the clusters: {names} (default:" in text
