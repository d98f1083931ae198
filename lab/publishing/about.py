"""Writes the texts of a published package: what it is, how to reproduce it, how to cite it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from lab.analysis.labels import each
from lab.core.model import Status
from lab.host.repository import web_address
from lab.report.former_reasons import present
from lab.results.schema import SCHEMA_VERSION

LICENCE = {
    "name": "CC-BY-4.0",
    "title": "Creative Commons Attribution 4.0",
    "path": "https://creativecommons.org/licenses/by/4.0/",
}
# The commands that write a run and have a nox session, which installs the lock file.
NOX_SESSIONS = ("bench", "claims")
# Words for facts of the machine, and the names of the facts.
MACHINE = (
    ("{} CPUs", "cpu.usable"),
    ("{} GiB of memory", "memory.ram"),
    ("{} {}", "kernel.system", "kernel.release"),
    ("{} {}", "python.implementation", "python.version"),
)
CITATION = """\
cff-version: 1.2.0
message: Cite these measurements as below, with the profile and the machine you quote.
title: "{title}"
type: dataset
authors:
  - name: The Background Task Lab contributors
date-released: "{date}"
version: "{version}"
license: CC-BY-4.0
"""
README = """\
# {run}

Measured by the Background Task Lab on {date}, preset {preset}, commit {commit}{repository}.
Machine: {machine}.

[report.html](report.html) shows the results, [DICTIONARY.md](DICTIONARY.md) and, for programs,
`datapackage.json` describe the tables. `environment.csv` has the version of every measured system,
`trial.csv` the settings and the commands of each trial. `SHA256SUMS` holds a checksum of each file
(`sha256sum --check SHA256SUMS`). In the CSV files, text cells that a spreadsheet would evaluate as
a formula begin with an apostrophe.

## How to reproduce

```sh
git checkout {commit}
{command}    # all of it; lock.txt is the lock file that nox installs
lab reproduce FOLDER/TRIAL_ID    # one row; FOLDER is the path of this folder
```
{skipped}
Licence: {licence}.
"""
TEXTS: Mapping[str, str] = {"README.md": README, "CITATION.cff": CITATION}


def facts(campaign: Any, environment: pd.DataFrame, trials: pd.DataFrame) -> dict[str, str]:
    """Return the values of the placeholders in `TEXTS`.

    Args:
        campaign: The row of the run's campaign.
        environment: The facts of its machine.
        trials: The rows of its trials; at least provider, status and reason.
    """
    providers = sorted(set(trials["provider"]))
    run = _plain(campaign.campaign_id)
    address = web_address(Path(__file__).parents[2])
    return {
        "run": run,
        "title": f"Background Task Lab, {run}",
        "date": _plain(campaign.started_utc)[:10],
        "preset": _plain(campaign.preset),
        "commit": _plain(campaign.git_commit) or "unknown",
        "command": "\n".join(_commands(str(campaign.command), providers)),
        "version": SCHEMA_VERSION,
        "licence": f"{LICENCE['name']}, {LICENCE['path']}",
        "machine": _machine(environment),
        "repository": f" of {address}" if address else "",
        "skipped": _skipped(trials),
    }


def _skipped(trials: pd.DataFrame) -> str:
    """Return a section with each reason of skips and its number; empty without a skip."""
    skipped = trials.loc[trials["status"] == Status.SKIPPED, "reason"]
    reasons = skipped.map(present).value_counts()
    if reasons.empty:
        return ""
    rows = (f"| {count:,} | {_sentence(reason)} |" for reason, count in reasons.items())
    head = ["", "## Skipped configurations", "", "| configurations | reason |", "|--:|---|"]
    return "\n".join([*head, *rows, ""])


def _machine(environment: pd.DataFrame) -> str:
    """Return the machine of a run in words."""
    known = {str(row.key): _words(row.value) for row in each(environment)}
    parts = [known.get("cpu.model") or "unknown CPU"]
    for words, *names in MACHINE:
        values = [known.get(name, "") for name in names]
        if all(values):
            parts.append(words.format(*values))
    return ", ".join(parts)


def _sentence(text: object) -> str:
    """Return a sentence without markup; brackets of a label are escaped, or they may be a link."""
    plain = re.sub(r"[^\w.,;:+=%/'()[\] @-]", "", str(text), flags=re.ASCII)
    return re.sub(r"([][])", r"\\\1", " ".join(plain.split()))


def _words(value: object) -> str:
    return " ".join(re.sub(r"[^\w.+:() @-]", "", str(value), flags=re.ASCII).split())


def _plain(value: object) -> str:
    """Return a value without the characters that are markup in Markdown, YAML or HTML."""
    return re.sub(r"[^\w.+:-]", "", str(value), flags=re.ASCII)


def _commands(line: str, providers: Sequence[str]) -> list[str]:
    """Return the run's command line; with several providers, a line for each of them."""
    before, option, rest = line.partition("--provider ")
    if not option:
        return [_command(line)]
    after = rest.partition(" ")[2]
    return [_command(f"{before}{option}{provider} {after}") for provider in providers]


def _command(line: str) -> str:
    """Return the run's command line with every argument quoted for a shell."""
    try:
        first, *words = shlex.split(line)
    except ValueError:  # empty, or an unclosed quote
        return f"lab {shlex.quote(line)}"
    nox = first in NOX_SESSIONS
    return shlex.join([*(("nox", "-s", first, "--") if nox else ("lab", first)), *words])
