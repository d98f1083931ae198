"""Names lead to backends and workloads, and a wrong name leads to the closest right one."""

from __future__ import annotations

import importlib.util

import pytest

from lab.core.backend import Backend
from lab.core.errors import MissingExtraError, UnknownNameError, UsageError
from lab.core.model import Topology, Variant
from lab.planning import registry

ONE = Topology(1, 1, 1)


def test_a_bare_name_means_the_first_variant_as_installed() -> None:
    """What is left out of a label is the backend's first variant and profile."""
    chosen = registry.select("celery")
    assert (chosen.name, chosen.variant, chosen.profile) == ("celery", "prefork", "default")


def test_a_label_names_backend_variant_and_profile() -> None:
    """The label of the CLI is the label of the rows."""
    chosen = registry.select("celery[threads]@safe")
    assert (chosen.name, chosen.variant, chosen.profile) == ("celery", "threads", "safe")


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ("celry", "Unknown backend 'celry'. Did you mean 'celery' or"),
        ("thread_pool", "Did you mean 'thread-pool'"),
        ("celery[prefrok]", "Unknown variant of celery 'prefrok'. Did you mean 'prefork'"),
        ("celery@saef", "Unknown profile of celery[prefork] 'saef'. Did you mean 'safe'"),
    ],
)
def test_a_typo_gets_the_closest_known_names(label: str, message: str) -> None:
    """The message names what was typed and what was probably meant, with exit code 2."""
    with pytest.raises(UnknownNameError) as caught:
        registry.select(label)
    assert message in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("label", ["", "celery[", "a b", "celery[x]y"])
def test_what_is_no_label_is_refused(label: str) -> None:
    """Text of another form says what the form is."""
    with pytest.raises(UsageError):
        registry.select(label)


@pytest.mark.parametrize(
    ("label", "has"),
    [
        ("threading", False),
        ("celery", True),
        ("dask[threads]", False),
        ("dask[distributed]", True),
        ("django-q[orm+sqlite]", True),  # though it needs no server
    ],
)
def test_workers_live_in_the_driver_or_apart(label: str, has: bool) -> None:
    """Whoever has a worker command has workers of its own, which placement must know."""
    assert registry.has_own_workers(registry.select(label)) is has


def test_a_missing_package_is_named_with_the_line_that_installs_it() -> None:
    """The reader can copy the next step."""

    class Absent(Backend):
        packages = ("no_such_package_at_all",)
        extra = "absent"
        variants = (Variant("v", frozenset(), "As such."),)

    chosen = registry.Selected("absent", Absent, "v", "default")  # type: ignore[type-abstract]
    line = r"'no_such_package_at_all'.*pip install .*\[absent\]"
    with pytest.raises(MissingExtraError, match=line):
        registry.require(chosen)


def test_a_package_of_one_variant_is_asked_for_by_that_variant_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without uvloop, asyncio runs as ever; its variant says what to install."""
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "uvloop" else find_spec(name)
    )
    registry.require(registry.select("asyncio"))
    with pytest.raises(MissingExtraError, match=r"asyncio\[uvloop\].*'uvloop'.*\[asyncio\]"):
        registry.require(registry.select("asyncio[uvloop]"))


def test_a_profile_is_offered_only_where_it_changes_something() -> None:
    """A second name of the same settings would be compared with itself."""
    chosen = registry.select("rq[worker]@tuned")
    assert chosen.profile == "tuned"
    with pytest.raises(UnknownNameError, match=r"profile of rq\[simple-worker\] 'tuned'"):
        registry.select("rq[simple-worker]@tuned")


def test_a_profile_of_one_name_may_differ_by_variant() -> None:
    """Only where heartbeats cost time are they off: elsewhere they are what finds a lost broker."""
    settings = {
        variant: registry.setup(registry.select(f"celery[{variant}]@tuned"), ONE, {}).settings
        for variant in ("gevent", "gevent+rabbitmq", "prefork+rabbitmq")
    }
    assert all(given["worker_prefetch_multiplier"] == 64 for given in settings.values())
    assert {v for v in settings if "broker_heartbeat" in settings[v]} == {"gevent+rabbitmq"}


# What these do depends on where they run: test_claims has them in real trials.
FOR_CLAIMS = {"flaky", "shared_block", "shared_global", "shared_store"}


@pytest.mark.parametrize("name", sorted(set(registry.workload_modules()) - FOR_CLAIMS))
def test_every_workload_gives_the_right_answer(name: str) -> None:
    """Function and coroutine agree with the known answer, for several sizes and seeds."""
    import asyncio

    _, module = registry.workload(name)
    for typed in (1, 7, 300):
        for seed in (0, 12_345):
            argument = module.argument(typed, seed)
            right = module.answer(argument)
            assert module.run(argument) == right
            assert asyncio.run(module.run_async(argument)) == right


def test_payload_sizes_are_bytes() -> None:
    """A size of 1 B is one byte and 1 MiB is 2**20 of them."""
    _, module = registry.workload("payload")
    assert [len(module.argument(n, 3)) for n in (1, 2**20)] == [1, 2**20]
    assert module.argument(64, 1) != module.argument(64, 2)
