"""Loads a side of a comparison: a run, a commit, or a backend within one run."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path

import pandas as pd

from lab.analysis.attempts import last_attempts
from lab.analysis.contracts import by_contract
from lab.analysis.labels import each
from lab.analysis.statistics import RefusedError
from lab.comparison.left_out import left_out, next_step, states_of
from lab.comparison.missing import command_of, is_backend, named, one_run, short_names
from lab.comparison.numbers import disturbed, measured, values
from lab.console import say
from lab.core.cell import CELL
from lab.core.errors import LabError, ResultsError, UnknownNameError, UsageError
from lab.core.model import Service
from lab.core.servers import REDIS_SERVERS
from lab.host.environment import OF_ENVIRONMENT
from lab.host.repository import git_or_none
from lab.planning import registry
from lab.planning.commands import with_function
from lab.results import run_names
from lab.results.store import Store, list_runs

COMMIT = re.compile(r"[0-9a-f]{7,40}")
UNUSABLE = [*CELL, "metric", "why"]


@dataclass(frozen=True, slots=True)
class Side:
    """The trials that one name selects.

    Attributes:
        name: The name, as it appears in the result.
        numbers: One row per metric of each usable trial: the columns of a cell, block,
            plan_hash, started_utc, run, trial_id, metric, value, unit. A calibrated size is
            replaced by the requested duration in us, because each run calibrates again.
        facts: The stable facts of the fingerprint.
        fingerprint_id: The hash of these facts.
        servers: Name and version of each server, which an image or the machine may replace; the
            key is its place and the service that it is.
        states: The flag or status of each trial (`left_out.states_of`), also of unusable ones.
        run: The newest run that the name selects.
        again: The command that repeats its plan.
        command: The command that made its plan; empty if it was the plan of another run.
        unusable: The columns of a cell, metric, and why: one row for each metric of a trial that
            has no number to compare.
        disturbed: Like `numbers`, those of disturbed trials: to be shown, and never judged.
    """

    name: str
    numbers: pd.DataFrame
    facts: dict[str, str]
    fingerprint_id: str
    servers: dict[str, str] = field(default_factory=dict)
    states: pd.Series[str] = field(default_factory=lambda: pd.Series(dtype=str))
    run: str = ""
    again: str = "lab bench --like RUN"
    command: str = ""
    unusable: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=UNUSABLE))
    disturbed: pd.DataFrame = field(default_factory=pd.DataFrame)


def find_sides(names: Sequence[str], results: Path, within: Path | None = None) -> list[Side]:
    """Return the side that each name selects, as `find_side` does.

    Raises:
        LabError: That of the first name that is unknown; otherwise, that of the first other error:
            a typo in the second name must not hide behind a first side without numbers.
    """
    sides, errors = list[Side](), list[LabError]()
    for name in names:
        try:
            sides.append(find_side(name, results, within, names))
        except LabError as error:
            errors.append(error)
    if errors:
        raise next((e for e in errors if isinstance(e, UnknownNameError)), errors[0])
    return sides


def find_side(
    name: str, results: Path, within: Path | None = None, both: Sequence[str] = ()
) -> Side:
    """Return the side that `name` selects: a run, a commit, or a backend of one run.

    Args:
        name: A run as `lab.results.run_names` accepts it, a commit (at least 7 of its digits, or
            any name that git resolves), or a label; the first of these that exists is used.
        results: The folder that contains ``runs``.
        within: The run that contains the backend; None means the latest.
        both: The names of both sides, for the message about a backend that the run lacks.

    Raises:
        UsageError: There is no such run, measured commit or backend.
        RefusedError: No trial of the backend has numbers that may be compared.
    """
    if folder := run_names.find_or_none(name, results, say):
        return _of_runs(folder.name, [folder])
    # Digits are taken as they are: this clone may not contain a commit that another one measured.
    commit = name if COMMIT.fullmatch(name) else _commit(name)
    known = list_runs(results, say)
    if commit and (measured := [run for run in known if _is_of(run, commit)]):
        return _of_runs(name, measured)
    run = run_names.find(within, results, say)
    side = _of_runs(run.name, [run])
    if is_backend(name) and not named(name, side.states.index):  # and so it is no typo
        has = ", ".join(sorted(set(side.states.index)))
        again = one_run(both or (name, "OTHER"), side.numbers["workload"], known)
        raise UsageError(f"{run.name} has no trial of {name}. It has: {has}. {again}")
    return _of_label(name, side)


def _commit(name: str) -> str:
    """Return the commit of a branch, a tag or a revision such as ``HEAD~1``; empty if none."""
    # A name may begin with a dash; git must not read it as an option.
    command = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    return git_or_none(Path(), *command) or ""


def _is_of(run: Path, commit: str) -> bool:
    """Return True if a run was measured on a commit without uncommitted changes."""
    row = Store(run).campaign()
    # With uncommitted changes the commit does not describe the code that ran.
    return str(row.git_commit).startswith(commit) and str(row.git_dirty) != "1"


def _of_runs(name: str, folders: list[Path]) -> Side:
    stores = [Store(folder) for folder in folders]
    # A key that occurs twice would count a trial twice (KAT-16).
    for store in stores:
        store.check()
    environments = [store.read("environment") for store in stores]
    facts = [_stable(environment) for environment in environments]
    if any(fact != facts[0] for fact in facts):
        raise ResultsError(
            f"The runs of {name} differ in machine or software. Pass one run instead of {name}."
        )
    metrics = [measured(store.read("trial"), store.read("metric")) for store in stores]
    states = pd.concat([states_of(last_attempts(store.read("trial"))) for store in stores])
    newest = folders[-1].name
    workloads = {work for table in metrics for work in table["workload"]}
    return Side(
        name,
        pd.concat([values(table) for table in metrics], ignore_index=True),
        facts[0],
        str(environments[0].fingerprint_id.iloc[0]),
        _servers(name, stores),
        states,
        newest,
        with_function(f"lab bench --like {newest}", workloads),
        command_of(stores[-1]),
        pd.concat([table.loc[table["why"] != "", UNUSABLE] for table in metrics]),
        pd.concat([disturbed(table) for table in metrics], ignore_index=True),
    )


def _servers(name: str, stores: Sequence[Store]) -> dict[str, str]:
    """Return the name and version of each server of all trials, by its place.

    Raises:
        ResultsError: The trials on one provider have two versions of one server, or have Redis and
            Valkey.
    """
    columns = ["provider", "environment", "services"]
    trials = pd.concat([store.read("trial")[columns] for store in stores])
    servers = dict[str, str]()
    for row in each(trials[trials["services"] != ""].drop_duplicates()):
        # In parentheses follow the origin of the program and its persistence, a factor of faults.
        for server in re.sub(r" \(.*?\)", "", row.services).split("; "):
            key = _key(server, row.provider, row.environment)
            known = servers.setdefault(key, server)
            if known != server:
                raise ResultsError(
                    f"{name} has trials on {known} and on {server}, which no comparison may mix. "
                    "Measure each in a run of its own."
                )
    return servers


def _key(server: str, provider: str, environment: str) -> str:
    """Return the place of a server and the service that it is, such as ``local redis``."""
    name = server.partition(" ")[0]
    if name in REDIS_SERVERS:
        name = Service.REDIS
    # Only this server is a package of the environment, which then has a version of its own.
    is_package = server.startswith("dask scheduler")
    return " ".join(filter(None, (provider, environment * is_package, name)))


def _stable(environment: pd.DataFrame) -> dict[str, str]:
    rows = environment[environment.stable == 1]
    return {str(key): str(value) for key, value in zip(rows.key, rows.value, strict=True)}


def _of_label(label: str, run: Side) -> Side:
    known = sorted(set(run.states.index))
    chosen = named(label, known)
    if not chosen:
        raise UnknownNameError(
            f"run, measured commit, or backend of {run.name}", label, _similar(label, known)
        )
    if len(chosen) > 1:
        raise UsageError(
            f"{label!r} matches several labels of {run.name}. Use one of: {', '.join(chosen)}."
        )
    rows = run.numbers[run.numbers.label == chosen[0]]
    states = run.states[run.states.index == chosen[0]]
    shown = run.disturbed[run.disturbed["label"] == chosen[0]]
    if rows.empty and shown.empty and (why := left_out(states)):
        raise RefusedError(
            f"{chosen[0]} has no trial in {run.name} to compare: {why}. "
            f"{next_step(states, run.again) or f'The reasons: lab report {run.run}'}"
        )
    unusable = run.unusable[run.unusable["label"] == chosen[0]]
    numbers = rows.reset_index(drop=True)
    of_label = replace(run, name=chosen[0], numbers=numbers, states=states)
    return replace(of_label, unusable=unusable, disturbed=shown)


def _similar(label: str, known: Sequence[str]) -> Sequence[str]:
    """Add the backends whose names are similar to a typo, if no label of the run is."""
    names = [*known, *(short for name in known for short in short_names(name))]
    if get_close_matches(label, names):
        return known
    return [*known, *get_close_matches(label, registry.backends())]


def with_disturbed(side: Side) -> Side:
    """Return a side as if its disturbed trials counted: to be shown, and never judged."""
    # pandas warns about empty tables in `concat`.
    tables = [table for table in (side.numbers, side.disturbed) if len(table)]
    numbers = pd.concat(tables, ignore_index=True) if tables else side.numbers
    return replace(side, numbers=numbers)


def contracts(a: Side, b: Side) -> str:
    """Return a sentence if the systems of the sides promise different things; otherwise empty."""
    of_a, of_b = ([*by_contract(dict.fromkeys(side.numbers["label"]))] for side in (a, b))
    # Sides with several systems are compared system by system.
    if of_a == of_b or len(of_a) != 1 or len(of_b) != 1:
        return ""
    return (
        f"The contracts differ ({a.name}: {of_a[0]}; {b.name}: {of_b[0]}). A weaker promise costs "
        "less time, so the faster side is no alternative for a task that needs the stronger one."
    )


def differences(a: Side, b: Side) -> list[str]:
    """List the facts of machine and software that differ between the two sides.

    Also the versions of servers that both used, such as RabbitMQ 3.13 and 4.

    Raises:
        UsageError: One side used Redis and the other Valkey, which no option may mix.
    """
    # Trials of an environment that only one side has are compared with none.
    keys = sorted(
        key
        for key in {*a.facts, *b.facts}
        if not key.startswith(OF_ENVIRONMENT) or (key in a.facts and key in b.facts)
    )
    servers = [
        name for name in a.servers if a.servers[name] != b.servers.get(name, a.servers[name])
    ]
    for name in servers:
        one, other = a.servers[name], b.servers[name]
        if one.partition(" ")[0] != other.partition(" ")[0]:
            raise UsageError(
                f"{a.name} ran on {one} and {b.name} on {other}: no comparison mixes the two. "
                "Measure both on one server (lab doctor redis names that of this machine)."
            )
    return [f"server: {a.servers[name]} / {b.servers[name]}" for name in servers] + [
        f"{key}: {a.facts.get(key, 'unknown')} / {b.facts.get(key, 'unknown')}"
        for key in keys
        if a.facts.get(key) != b.facts.get(key)
    ]
