"""Tests the texts of a published package: its machine, its command, and how to reproduce a row."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace

import pandas as pd

from lab.publishing import about

CAMPAIGN = SimpleNamespace(
    campaign_id="run-1",
    started_utc="2026-11-27T01:02:03+00:00",
    preset="quick",
    git_commit="ab" * 20,
    command="bench -b 'celery[threads]'",
)
FACTS = {"cpu.model": "A <b>CPU</b>", "cpu.usable": "2", "memory.ram": "", "kernel.system": "Linux"}


def readme(
    command: str = CAMPAIGN.command,
    providers: Sequence[str] = ("local",),
    skips: Sequence[str] = (),
) -> str:
    """Return the README of a package, with a trial on each provider and these reasons of skips."""
    environment = pd.DataFrame({"key": list(FACTS), "value": list(FACTS.values())})
    campaign = SimpleNamespace(**{**vars(CAMPAIGN), "command": command})
    trials = pd.DataFrame(
        [
            *({"provider": name, "status": "ok", "reason": ""} for name in providers),
            *({"provider": providers[0], "status": "skipped", "reason": why} for why in skips),
        ]
    )
    return about.TEXTS["README.md"].format_map(about.facts(campaign, environment, trials))


def test_the_machine_is_named_by_what_is_known() -> None:
    """A fact that was not read is left out, and markup of a value is removed."""
    assert "\nMachine: A bCPUb, 2 CPUs.\n" in readme()


def test_the_commands_can_be_copied() -> None:
    """Arguments are quoted, and a row is named by the folder of the package."""
    text = readme()
    assert "nox -s bench -- -b 'celery[threads]'    # all of it" in text
    assert "lab reproduce FOLDER/TRIAL_ID    # one row; FOLDER is the path of this folder" in text


def test_each_provider_of_a_run_has_its_command() -> None:
    """A merged campaign has trials of several, and a command plans those of one."""
    text = readme("bench --provider local -b 'celery[threads]'", ("compose", "local"))
    assert (
        "nox -s bench -- --provider compose -b 'celery[threads]'\n"
        "nox -s bench -- --provider local -b 'celery[threads]'    # all of it"
    ) in text
    assert "--provider local    # all" in readme("bench --provider local")


def test_skips_are_counted_by_their_reason() -> None:
    """The most frequent first; a reason is text and no markup."""
    text = readme(skips=["`rq[worker]` needs <b>Redis.", *["has | no server."] * 2])
    assert (
        "\n## Skipped configurations\n\n| configurations | reason |\n|--:|---|\n"
        "| 2 | has no server. |\n| 1 | rq\\[worker\\] needs bRedis. |\n\nLicence"
    ) in text
    assert "Skipped" not in readme()


def test_a_former_reason_of_a_skip_is_in_present_words() -> None:
    """The tables of the package keep what was recorded."""
    text = readme(skips=["24000 tasks/s is more than the 20000 that anybody is asked for."])
    assert "| 1 | 24000 tasks/s is more than the highest rate of any trial, 20000. |" in text
