"""Tests the properties by which a reader of the page filters systems."""

from __future__ import annotations

import pytest

from lab.analysis.contracts import UNKNOWN
from lab.core.outcomes import Contract
from lab.planning import registry
from lab.report.features import Features, features_of

MOST, LEAST = Contract.AT_MOST_ONCE, Contract.AT_LEAST_ONCE


def labels() -> list[str]:
    """Return each variant of the lab's systems, with its default profile."""
    backends = registry.backends().items()
    return [f"{name}[{v.name}]@default" for name, backend in backends for v in backend.variants]


def test_every_system_of_django_passes_the_filter() -> None:
    """Django-Q and django-crontab import Django as well, and the filter left them out."""
    names = {label.partition("[")[0] for label in labels() if features_of(label).django}
    assert names == {"celery-beat", "django-crontab", "django-q", "django-rq", "django-tasks"}
    assert not features_of("celery-beat[static]@default").django


@pytest.mark.parametrize(
    ("label", "features"),
    [
        ("celery[prefork]@safe", Features(LEAST, redis=True, django=False)),
        ("celery[prefork]@default", Features(MOST, redis=True, django=False)),
        ("celery[prefork+rabbitmq]@default", Features(MOST, redis=False, django=False)),
        ("thread-pool[executor]@default", Features(Contract.POOL, redis=False, django=False)),
        ("of-a-package[x]@default", Features(UNKNOWN, redis=False, django=False)),
    ],
)
def test_features_are_those_of_the_adapter(label: str, features: Features) -> None:
    """A profile may have another contract than the default."""
    assert features_of(label) == features


def test_a_recorded_server_counts_for_a_system_that_is_not_installed() -> None:
    """Its adapter cannot be read, and its trials name the servers."""
    assert features_of("of-a-package[x]@default", ["redis-server 7.0.15"]).redis
