"""Tests what a system needs: its requirements, its lock, and the overrides that concern it."""

from __future__ import annotations

import re

import pytest

from lab.core.errors import UsageError
from lab.environments.requirements import LOCKS, Needs, checked, combined, needs_of, package_of
from lab.planning import registry


@pytest.mark.parametrize("name", sorted(registry.backends()))
def test_the_lock_of_a_system_pins_its_requirements(name: str) -> None:
    """A system with packages has a lock, in which every requirement and every hash is."""
    needs = needs_of(name)
    assert bool(needs.requirements) == bool(needs.lock)
    assert all(needs.uses(text) for text in needs.requirements)


def test_locks_have_hashes_and_no_address() -> None:
    """Each pin has hashes, and no file names a host of a package registry."""
    texts = [file.read_text(encoding="utf-8") for file in LOCKS.glob("*.txt")]
    assert len(texts) >= 9
    for text in texts:
        assert "://" not in text
        pins = re.split(r"\n(?=[a-z])", text.split("nox -s lock\n")[1])
        assert all("--hash=sha256:" in pin for pin in pins)


def test_packages_of_other_variants_are_left_out() -> None:
    """Gevent and uvloop have no wheel for some interpreters, and most variants need neither."""
    assert any("gevent" in text for text in needs_of("celery[gevent]").requirements)
    assert not any("gevent" in text for text in needs_of("celery[prefork]").requirements)
    assert needs_of("asyncio").requirements == ()
    assert needs_of("thread-pool") == Needs()


def test_an_override_replaces_the_requirement_of_its_package() -> None:
    """It keeps the extras, and packages that the system needs only indirectly are added."""
    needs = Needs(("celery[redis]", "flower"), "celery")
    overrides = ["Celery==5.5.3", "kombu==5.5.4"]
    assert combined(needs, overrides) == ["Celery[redis]==5.5.3", "flower", "kombu==5.5.4"]
    assert needs.uses("kombu==5.5.4")
    assert not needs.uses("rq==2.6.0")


@pytest.mark.parametrize(
    "text", ["celery=5.5.3", "celery", "", "==5.5.3", "celery==5;python_version<'4'"]
)
def test_a_malformed_requirement_is_refused_with_an_example(text: str) -> None:
    """One sentence names it, and the next has the form of one that works."""
    with pytest.raises(UsageError, match=rf"--with '?\"?{re.escape(text)}.*==") as refused:
        checked(text)
    assert str(refused.value).count(". ") == 1


@pytest.mark.parametrize(
    ("label", "package"),
    [
        ("celery[threads]@safe", "celery"),
        ("django-q", "django-q2"),
        ("django-rq", "django-rq"),
        ("celery-beat", "celery"),
        ("asyncio", ""),
        ("threading", ""),
        ("raw-redis", ""),
    ],
)
def test_the_package_of_a_system_is_the_one_that_it_is_named_after(
    label: str, package: str
) -> None:
    """Not a client of its server, and none of the standard library or of a reference."""
    assert package_of(label) == package
