"""Tests the text of an environment, and that its default leaves the ids of trials unchanged."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lab.core.cell import cell_of_spec
from lab.core.environment import Environment
from lab.core.serialization import spec_from_json, spec_to_json
from tests.factories.trials import spec_of


@pytest.mark.parametrize(
    ("text", "environment"),
    [
        ("", Environment()),
        ("3.14t", Environment("3.14t")),
        ("celery==5.5.3", Environment("", ("celery==5.5.3",))),
        (
            "3.11 + celery==5.5.3 + kombu==5.5.4",
            Environment("3.11", ("celery==5.5.3", "kombu==5.5.4")),
        ),
        # A local version contains the sign of the separator.
        ("celery==5.5.3+local", Environment("", ("celery==5.5.3+local",))),
    ],
)
def test_a_text_describes_one_environment(text: str, environment: Environment) -> None:
    """It is read as it was written."""
    assert Environment.parse(text) == environment
    assert environment.text == text


def test_an_environment_changes_the_id_and_the_cell_of_a_trial() -> None:
    """A default is left out of the id; seeds stay, so that environments run in pairs."""
    spec = spec_of("inline")
    other = replace(spec, environment="celery==5.5.3")
    assert replace(spec, environment="").id == spec.id != other.id
    assert cell_of_spec(other).environment == "celery==5.5.3"
    assert cell_of_spec(spec).environment == ""
    assert spec_from_json(spec_to_json(other)) == other
