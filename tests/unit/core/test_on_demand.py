"""Tests the attributes that worker commands read from a module."""

from __future__ import annotations

import pytest

from lab.core.backend import setup_to_json
from lab.core.model import BackendContext, Topology
from lab.core.on_demand import on_demand

SETUP = BackendContext("huey", "thread", "default", Topology(1, 1, 2), {}, {"redis": "address"})


def test_attribute_is_made_once_from_the_setup_of_the_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A worker reads it several times, and must get one app."""
    setups: list[BackendContext] = []

    def make(setup: BackendContext) -> object:
        setups.append(setup)
        return object()

    attribute = on_demand("module", app=make)
    monkeypatch.setenv("LAB_SETUP", setup_to_json(SETUP))
    monkeypatch.delenv("LAB_LEDGER", raising=False)
    assert attribute("app") is attribute("app")
    assert setups == [SETUP]


def test_nothing_is_made_for_another_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Importers look for names such as `__path__`, also where there is no setup."""
    monkeypatch.delenv("LAB_SETUP", raising=False)
    with pytest.raises(AttributeError, match="'module' has no attribute '__path__'"):
        on_demand("module", app=lambda _: object())("__path__")
