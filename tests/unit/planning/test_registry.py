"""Tests the selection of backends and workloads by name, and the messages for wrong names."""

from __future__ import annotations

import importlib.util

import pytest

from lab.core.backend import Backend
from lab.core.errors import MissingExtraError, UnknownNameError, UsageError
from lab.core.model import Topology, Variant
from lab.planning import registry

ONE = Topology(1, 1, 1)


def test_a_name_alone_selects_the_first_variant_and_profile() -> None:
    """A missing part of a label means the backend's first."""
    chosen = registry.select("celery")
    assert (chosen.name, chosen.variant, chosen.profile) == ("celery", "prefork", "default")


def test_a_label_names_backend_variant_and_profile() -> None:
    """The command line and the rows have the same labels."""
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
    """The message has the typed name and the closest known ones; the exit code is 2."""
    with pytest.raises(UnknownNameError) as caught:
        registry.select(label)
    assert message in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("label", ["", "celery[", "a b", "celery[x]y"])
def test_text_of_another_form_is_refused(label: str) -> None:
    """A label has the form backend[variant]@profile."""
    with pytest.raises(UsageError):
        registry.select(label)


@pytest.mark.parametrize(
    ("label", "has"),
    [
        ("threading", False),
        ("celery", True),
        ("dask[threads]", False),
        ("dask[distributed]", True),
        ("django-q[orm+sqlite]", True),  # although it needs no server
    ],
)
def test_a_backend_with_a_worker_command_has_worker_processes(label: str, has: bool) -> None:
    """Placement depends on it."""
    assert registry.has_worker_processes(registry.select(label)) is has


def test_a_missing_package_is_named_with_the_line_that_installs_it() -> None:
    """The message contains a command to copy."""

    class Absent(Backend):
        packages = ("no_such_package_at_all",)
        extra = "absent"
        variants = (Variant("v", frozenset(), "As such."),)

    chosen = registry.SelectedBackend("absent", Absent, "v", "default")  # type: ignore[type-abstract]
    line = r"'no_such_package_at_all'.*pip install .*\[absent\]"
    with pytest.raises(MissingExtraError, match=line):
        registry.require(chosen)


def test_a_package_of_one_variant_is_required_by_that_variant_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without uvloop, asyncio is available; its variant uvloop is not."""
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "uvloop" else find_spec(name)
    )
    registry.require(registry.select("asyncio"))
    with pytest.raises(MissingExtraError, match=r"asyncio\[uvloop\].*'uvloop'.*\[asyncio\]"):
        registry.require(registry.select("asyncio[uvloop]"))


def test_a_profile_exists_only_for_variants_that_it_changes() -> None:
    """Two names of the same settings would be compared with each other."""
    chosen = registry.select("rq[worker]@tuned")
    assert chosen.profile == "tuned"
    with pytest.raises(UnknownNameError, match=r"profile of rq\[simple-worker\] 'tuned'"):
        registry.select("rq[simple-worker]@tuned")


def test_the_settings_of_a_profile_may_differ_by_variant() -> None:
    """Heartbeats are off only where they cost time; elsewhere they detect a lost broker."""
    settings = {
        variant: registry.setup(registry.select(f"celery[{variant}]@tuned"), ONE, {}).settings
        for variant in ("gevent", "gevent+rabbitmq", "prefork+rabbitmq")
    }
    assert all(values["worker_prefetch_multiplier"] == 64 for values in settings.values())
    assert {v for v in settings if "broker_heartbeat" in settings[v]} == {"gevent+rabbitmq"}


# Their answers depend on the process: the tests of claims run them in real trials.
FOR_CLAIMS = {"flaky", "shared_block", "shared_global", "shared_store"}


@pytest.mark.parametrize("name", sorted(set(registry.workload_modules()) - FOR_CLAIMS))
def test_every_workload_gives_the_right_answer(name: str) -> None:
    """Function and coroutine return the known answer, for several sizes and seeds."""
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
