"""Tests what adapters state about redelivery and acknowledgement (METHOD M27)."""

from __future__ import annotations

import math

import pytest

from lab.core.backend import ack_means_of, contract_of, settings_of
from lab.core.faults import FaultKind
from lab.core.model import Capability
from lab.core.outcomes import AckMeans, Contract
from lab.planning import registry

# The horizons of a task that has not started, and of one that has; in seconds.
HORIZONS = {
    "celery": (3_700.0, None),
    "celery@safe": (61.0, 61.0),
    "celery[prefork+results]@deduplicated": (61.0, 61.0),
    "celery[prefork+rabbitmq]": (60.0, None),
    "celery[prefork+rabbitmq+quorum]@safe": (60.0, 60.0),
    "celery[gevent+rabbitmq]@tuned": (math.inf, None),
    "celery-beat": (3_700.0, None),
    # The heartbeat of 90 s and 810 s of maintenance if all workers are idle; for a job that was
    # popped and not marked as started, two of them.
    "rq": (1_620.0, 900.0),
    "rq@safe": (120.0, 120.0),
    "rq[simple-worker]@safe": (270.0, 270.0),
    "rq[worker-pool]@safe": (1_620.0, 900.0),
    "django-rq@safe": (1_230.0, 705.0),
    "django-q[redis]": (None, None),
    "django-q[orm+postgres]": (60.0, 60.0),
    "django-q[orm+sqlite]@safe": (60.0, 60.0),
    "django-tasks[database+sqlite]": (None, None),
    "django-tasks[rq]": (1_620.0, 900.0),
    "procrastinate": (None, None),
    "procrastinate@safe": (90.0, 90.0),
    "dramatiq": (math.inf, math.inf),
    "dramatiq@safe": (61.0, 61.0),
    "dramatiq[processes+rabbitmq]": (60.0, 60.0),
    "taskiq[processes+stream]": (math.inf, math.inf),
    "taskiq[processes+stream]@safe": (math.inf, math.inf),
    "taskiq[processes+stream]@when-received": (math.inf, None),
    "taskiq[processes+list]": (None, None),
    "taskiq[processes+rabbitmq]@safe": (60.0, 60.0),
    "taskiq[processes+rabbitmq]@when-received": (60.0, None),
    "dask[threads]": (None, None),
    "dask[distributed]": (300.0, 300.0),
    "raw-amqp": (math.inf, math.inf),
    **dict.fromkeys(("ray", "ray[actors]@safe"), (60.0, 60.0)),
    **dict.fromkeys(("multiprocessing", "process-pool", "threading", "asyncio"), (None, None)),
    **dict.fromkeys(("huey", "huey[process+sqlite]", "pebble", "ray[actors]"), (None, None)),
    **dict.fromkeys(("joblib", "apscheduler", "raw-redis", "raw-sql", "pipe"), (None, None)),
}
MEANS = {
    "celery": AckMeans.ACCEPTED,
    "celery[prefork+rabbitmq]": AckMeans.SOCKET,
    "celery[prefork+rabbitmq]@safe": AckMeans.CONFIRMED,
    "rq": AckMeans.ACCEPTED,
    "django-q[redis+postgres]": AckMeans.ACCEPTED,
    "django-q[orm+postgres]": AckMeans.ON_DISK,
    "django-q[orm+sqlite]": AckMeans.ACCEPTED,
    "django-tasks[database+sqlite]": AckMeans.ACCEPTED,
    "django-tasks[database+postgres]": AckMeans.ON_DISK,
    "django-tasks[rq]": AckMeans.ACCEPTED,
    "procrastinate": AckMeans.ON_DISK,
    "dramatiq": AckMeans.ACCEPTED,
    "dramatiq[processes+rabbitmq]": AckMeans.SOCKET,
    "dramatiq[processes+rabbitmq]@safe": AckMeans.CONFIRMED,
    "taskiq": AckMeans.ACCEPTED,
    "taskiq[processes+rabbitmq]": AckMeans.CONFIRMED,
    "dask[distributed]": AckMeans.IN_MEMORY,
    "huey[process+postgres]": AckMeans.ON_DISK,
    "pebble": AckMeans.IN_MEMORY,
    "process-pool": AckMeans.IN_MEMORY,
    "apscheduler[threads+sqlalchemy+late-runs]": AckMeans.ON_DISK,
    "raw-amqp": AckMeans.SOCKET,
}
CONTRACTS = {
    Contract.POOL: (
        "thread-pool",
        "process-pool",
        "asyncio",
        "joblib",
        "dask[distributed]",
        "pebble",
        "pipe",
        "ray",
        "ray[actors]@safe",
    ),
    Contract.AT_MOST_ONCE: (
        *("celery", "celery@tuned", "celery[prefork+rabbitmq]", "rq", "rq@tuned", "django-rq"),
        *(
            "django-q[redis]",
            "huey",
            "huey[process+postgres]",
            "raw-redis",
            "raw-sql",
            "taskiq[processes+list]",
        ),
        *("taskiq@when-received", "taskiq[processes+rabbitmq]@when-received"),
        *("django-tasks", "django-tasks[rq]", "procrastinate", "huey[process+postgres]"),
    ),
    Contract.AT_LEAST_ONCE: (
        *("celery@safe", "celery[prefork+rabbitmq+quorum]@safe", "rq@safe", "django-rq@safe"),
        *("celery[prefork+results]@deduplicated", "django-q[orm+postgres]", "dramatiq"),
        *("django-q[orm+sqlite]@safe", "rq[worker-pool]@safe", "raw-amqp", "taskiq"),
        *("taskiq@safe", "taskiq[processes+rabbitmq]", "procrastinate@safe"),
    ),
    Contract.SCHEDULER: ("celery-beat", "apscheduler", "django-crontab", "deadline-loop"),
}


@pytest.mark.parametrize(("label", "expected"), HORIZONS.items())
def test_horizon_follows_from_the_settings_in_force(
    label: str, expected: tuple[float | None, float | None]
) -> None:
    """A task that is acknowledged early is never delivered again once it has started."""
    chosen = registry.select(label)
    settings = settings_of(chosen.backend, chosen.variant, chosen.profile)
    horizon = chosen.backend.redelivery_horizon_s
    assert (horizon(settings), horizon(settings, is_started=True)) == expected


@pytest.mark.parametrize(("label", "expected"), MEANS.items())
def test_acknowledgement_means_what_the_client_waits_for(label: str, expected: AckMeans) -> None:
    """A message on its way, a reply and a confirm are different promises."""
    chosen = registry.select(label)
    assert ack_means_of(chosen.backend, chosen.variant, chosen.profile) is expected


@pytest.mark.parametrize(
    ("label", "expected"), [(label, each) for each, labels in CONTRACTS.items() for label in labels]
)
def test_the_contract_is_that_of_the_documentation(label: str, expected: Contract) -> None:
    """Settings decide: the same queue is at most once by default, and at least once when safe."""
    chosen = registry.select(label)
    assert contract_of(chosen.backend, chosen.variant, chosen.profile) is expected


def test_the_contract_contradicts_no_other_statement_of_the_adapter() -> None:
    """A started task is delivered again; a system that takes no tasks schedules them."""
    for name, backend in registry.backends().items():
        for variant in backend.variants:
            takes_tasks = variant.capabilities & {Capability.SUBMIT, Capability.BATCH}
            for profile in registry.profiles_of(backend, variant.name):
                contract = contract_of(backend, variant.name, profile.name)
                label = f"{name}[{variant.name}]@{profile.name}"
                settings = settings_of(backend, variant.name, profile.name)
                again_s = backend.redelivery_horizon_s(settings, is_started=True)
                assert contract is not Contract.AT_LEAST_ONCE or again_s is not None, label
                assert contract is Contract.SCHEDULER or takes_tasks, label
                survives = FaultKind.WORKER_KILL in profile.safe_against
                assert not survives or contract in {Contract.AT_LEAST_ONCE, Contract.POOL}, label
                if contract is Contract.POOL:
                    means = ack_means_of(backend, variant.name, profile.name)
                    assert means in {AckMeans.IN_MEMORY, AckMeans.SOCKET}, label


def test_safe_profiles_name_the_faults_that_they_survive() -> None:
    """Every safe profile survives the kill of a worker, and the defaults of Dask and Ray do."""
    profiles = [(n, p) for n, b in registry.backends().items() for p in b.profiles]
    for _, profile in profiles:
        if profile.name in {"safe", "deduplicated"}:
            assert FaultKind.WORKER_KILL in profile.safe_against
    claims = {name for name, p in profiles if p.name in {"default", "tuned"} and p.safe_against}
    assert claims == {"dask", "ray"}


def test_shorter_horizons_are_not_in_the_default_profile() -> None:
    """Only `safe` and its like shorten a horizon."""
    for name, backend in registry.backends().items():
        for profile in backend.profiles:
            if profile.name in {"default", "tuned"}:
                shorter = {"retry", "maintenance_interval", "worker_ttl"} & profile.settings.keys()
                assert not shorter, name
                assert "visibility_timeout" not in str(profile.settings)
