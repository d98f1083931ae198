"""Tests in which environments each label runs, and the refusals before a run."""

from __future__ import annotations

from typing import Any

import pytest

from lab.cli import selection
from lab.cli.parser import parse
from lab.core.errors import MissingExtraError, UsageError
from lab.core.provider import Cluster
from lab.planning import registry
from lab.planning.plan import make_plan
from lab.planning.presets import PRESETS
from lab.providers import PROVIDERS

FIRST, SECOND = "celery==5.5.3", "celery==5.6.0"
SYSTEMS = ("-b", "celery", "-b", "rq", "-w", "noop", "--arrival", "burst", "--cores", "1")


def selected(*words: str) -> Any:
    """Return the selection of a command line of `lab bench`."""
    options = parse(["bench", "--provider", "local", "--blocks", "2", "--seed", "1", *words])
    return selection.select(options, PRESETS["quick"])


def test_an_override_applies_to_the_systems_that_use_it() -> None:
    """The others run once without it, and references in the environments of all systems."""
    chosen = selected(*SYSTEMS, "--with", FIRST, "--with", SECOND)
    environments = {label.partition("[")[0]: texts for label, texts in chosen.environments.items()}
    assert environments["celery"] == (FIRST, SECOND)
    assert environments["rq"] == ("",)
    assert environments["inline"] == (FIRST, SECOND, "")


def test_environments_run_in_the_same_blocks_with_the_same_tasks() -> None:
    """The trials of a block differ in their environment only."""
    trials = make_plan(
        selected("-b", "celery", *SYSTEMS[4:], "--with", FIRST, "--with", SECOND)
    ).trials
    of_celery = [spec for spec in trials if spec.backend == "celery"]
    assert {(spec.block, spec.environment) for spec in of_celery} == {
        (block, text) for block in (0, 1) for text in (FIRST, SECOND)
    }
    assert {spec.seed for spec in of_celery if spec.block == 0}.__len__() == 1
    assert len({spec.id for spec in of_celery}) == 4


def test_packages_of_one_environment_are_joined() -> None:
    """One option is one environment."""
    chosen = selected("-b", "celery", *SYSTEMS[4:], "--with", "celery==5.5.3 + kombu==5.5.4")
    assert {"celery==5.5.3 + kombu==5.5.4"} == {
        t for each in chosen.environments.values() for t in each
    }


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--with", "django-q2==1.7"), "none of the selected systems uses the package django-q2"),
        (("--with", "celery"), "names no version"),
        (("--python", "3.14t", "--provider", "compose"), "Add --provider local"),
        (("--python", "latest"), "Write one, such as 3.13"),
    ],
)
def test_what_cannot_run_is_refused_before_the_run(words: tuple[str, ...], message: str) -> None:
    """The sentence has the next step."""
    with pytest.raises(UsageError, match=message):
        selected(*SYSTEMS, *words)


@pytest.mark.parametrize("words", [("--with", FIRST), ("--python", "3.13")])
def test_a_provider_without_environments_refuses_both_options(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A provider has none unless it says so."""
    monkeypatch.setattr(PROVIDERS["local"], "environments", Cluster.environments)
    with pytest.raises(UsageError, match="Add --provider"):
        selected(*SYSTEMS, *words)


def test_a_system_that_is_not_installed_runs_in_an_environment_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In that of the lab it is refused, also where `--with` names the package of another."""
    missing = registry.missing_package
    monkeypatch.setattr(
        registry, "missing_package", lambda b, v: "ray" if b.family == "ray" else missing(b, v)
    )
    chosen = selected("-b", "ray", *SYSTEMS[4:], "--with", "ray==2.60.0")
    assert chosen.environments["ray[tasks]@default"] == ("ray==2.60.0",)
    for words in (("-b", "ray"), ("-b", "ray", "-b", "celery", "--with", FIRST)):
        with pytest.raises(MissingExtraError, match="'ray'"):
            selected(*words, *SYSTEMS[4:])
