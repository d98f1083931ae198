"""Tests that each problem of CPUs, clock and disk is reported with the command that fixes it."""

from __future__ import annotations

import os
import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from lab.cli import check_machine
from lab.cli.check import Check, Health

Usage = namedtuple("Usage", "total used free")  # noqa: PYI024 - what shutil returns
CHECKS = {
    "quota": check_machine.quota,
    "governor": check_machine.governor,
    "clock": check_machine.clock,
    "cgroups": check_machine.cgroups,
}


@pytest.mark.parametrize(
    ("name", "facts", "sentence"),
    [
        ("quota", {"cgroup.cpu_limit": "1.5"}, "A quota of 1.5 CPUs"),
        ("governor", {"cpu.governor": "powersave"}, "powersave"),
        ("clock", {"clock.source": "hpet"}, "hpet"),
        ("cgroups", {"cgroup.version": ""}, "limits cannot be read"),
    ],
)
def test_a_setting_that_adds_noise_is_a_warning(
    name: str, facts: dict[str, str], sentence: str
) -> None:
    """The finding contains the value of the setting."""
    check = CHECKS[name](facts)
    assert (check.name, check.state) == (name, Health.WARN)
    assert sentence in check.finding
    assert check.fix


def test_good_or_unknown_settings_are_ok() -> None:
    """A good setting is ok, and so is one that a virtual machine does not provide."""
    good = {"cgroup.cpu_limit": "none", "cpu.governor": "performance", "clock.source": "tsc"}
    for facts in (good, dict.fromkeys(good, "")):
        checks = [CHECKS[name](facts) for name in ("quota", "governor", "clock")]
        assert {check.state for check in checks} == {Health.OK}


def test_disk_problems_are_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Too little space is a warning; a folder that is not writable has the state `missing`."""
    results = tmp_path / "not" / "there" / "yet"
    assert check_machine.disk(results).state == Health.OK
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(2**40, 2**40, 2**28))
    fix = f"du -s {results}/runs/* | sort -n, and remove some"
    finding = "0.2 GiB are free for results. A campaign needs 1."
    assert check_machine.disk(results) == Check("disk", Health.WARN, finding, fix)
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert check_machine.disk(results).state == Health.MISSING


def test_a_single_cpu_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    """With one CPU, the driver disturbs the workers that it measures."""
    monkeypatch.setattr(check_machine, "available_cpus", lambda: (0,))
    assert check_machine.cpus({"cpu.cores": "1"}).state == Health.WARN
