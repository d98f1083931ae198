"""Tests the hash under which an environment is cached."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest

from lab.environments.recipe import Recipe

RECIPE = Recipe("/usr/bin/python3", "3.11.2 cpython", ("celery==5.5.3",), "kombu==5.5.4\n")


@pytest.mark.parametrize("name", [field.name for field in fields(Recipe)])
def test_each_part_changes_the_key(name: str) -> None:
    """Otherwise an environment of another content would be used."""
    changed: Any = {name: ("x",) if name == "requirements" else "x"}
    other = replace(RECIPE, **changed)
    assert other.key != RECIPE.key == replace(RECIPE).key
