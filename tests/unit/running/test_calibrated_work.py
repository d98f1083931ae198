"""Tests that the work of a task is timed again at the present speed of the CPU."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest

from lab.environments import preparation
from lab.running.calibrated_work import work_ns
from tests.factories.trials import spec_of
from workloads import cpu


def test_a_slower_cpu_makes_the_same_size_take_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan of 2 ms that is 1,000 rounds takes 4 ms when 500 rounds are 2 ms."""
    spec = replace(spec_of("inline", "cpu", size=2_000), size=1_000)
    monkeypatch.setattr(cpu, "calibrate", lambda us: us // 4)
    assert work_ns(spec) == 4_000_000


def test_a_wait_is_as_long_as_planned() -> None:
    """The speed of the CPU does not change how long a task sleeps."""
    assert work_ns(spec_of("inline", "io", size=2_000)) == 2_000_000


def test_work_without_a_duration_has_none() -> None:
    """A no-op has no size, and a payload has a size in bytes."""
    assert work_ns(spec_of("inline")) is None
    assert work_ns(spec_of("inline", "payload", size=100)) is None


def test_the_interpreter_of_the_trial_is_calibrated(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same rounds take another time in it, so the lab's own interpreter does not count."""
    spec = replace(spec_of("inline", "cpu", size=2_000), size=1_000_000, environment="3.14")
    monkeypatch.setattr(cpu, "calibrate", lambda us: us)
    lab = preparation.Interpreter(sys.executable)
    monkeypatch.setattr(preparation, "of_trial", lambda *_: lab)
    measured = work_ns(spec)
    assert measured is not None
    assert measured != 2_000 * 1_000_000
