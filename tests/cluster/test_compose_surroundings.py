"""Tests that a trial's containers have only listed variables, and that no argument has a secret."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from lab.core.model import Burst, Topology
from lab.host import child_environment
from lab.providers import container_process
from lab.providers.compose import ComposeCluster
from tests.contract.test_surroundings import LISTED, THEIRS
from tests.contract.watching import watching
from tests.factories.foreign_environment import JUNK
from tests.factories.trials import run, spec_of

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("containers")]

# Variables that the engine or an image, official or built here, sets.
OF_IMAGES = r"HOSTNAME|GPG_KEY|GOSU_VERSION|(ERLANG|OPENSSL|PYTHON|RABBITMQ|REDIS|PG|POSTGRES)_\w+"
# Variables that the start scripts of servers set.
OF_SERVERS = {
    "rabbitmq": r"(OLD)?PWD|BINDIR|EMU|PROGNAME|ROOTDIR|ERL_\w+|[A-Z]+(_[A-Z]+)*_(FILE|DIR|BASE)"
    "|SYS_PREFIX",
    "postgres": "PWD|PGDATA|PGLOCALEDIR|PGSYSCONFDIR",
}
DUMP = "for file in /proc/[0-9]*/environ; do cat $file; done 2>/dev/null || true"
TOKEN = "not-for-arguments"  # noqa: S105 (no real secret)


def named(environ: bytes) -> dict[str, str]:
    """Return variables by name, without text that a process wrote over them as its title."""
    entries = (entry.partition("=") for entry in environ.decode().split("\0"))
    return {name: value for name, _, value in entries if child_environment.NAME.fullmatch(name)}


def unlisted(system: str, part: str, variables: Mapping[str, str]) -> set[str]:
    """Return the names of a container's variables that are on no list."""
    of_part = OF_SERVERS.get(part) or THEIRS[system]
    allowed = re.compile(f"{LISTED}|{OF_IMAGES}|{of_part}")
    passed = set() if part in OF_SERVERS or part == "redis" else {"SHOP_TOKEN"}
    return {
        name
        for name, value in variables.items()
        if not (allowed.fullmatch(name) or name in passed) or JUNK.get(name) == value
    }


@pytest.mark.parametrize(
    "label",
    [
        *("celery[prefork]", "celery[prefork+rabbitmq]", "django-q[orm+postgres]"),
        "dask[distributed]",
    ],
)
def test_containers_have_only_listed_variables(
    label: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All processes of all containers are checked, and the arguments of the engine's clients."""
    for name, value in JUNK.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SHOP_TOKEN", TOKEN)
    variables_of, passwords = dict[str, dict[str, str]](), list[str]()
    prove = ComposeCluster.prove_connections

    def dump(cluster: ComposeCluster) -> None:
        prove(cluster)
        passwords.append(cluster.password)
        for name, part in cluster.parts.items():
            variables_of[name] = named(container_process.run(part.id, "sh", "-c", DUMP))

    monkeypatch.setattr(ComposeCluster, "prove_connections", dump)
    spec = spec_of(
        label,
        arrival=Burst(20),
        provider="compose",
        topology=Topology(2, 1, 1),
        pass_env=("SHOP_TOKEN",),
    )
    with watching() as seen:
        row = run(tmp_path, spec).row
    assert (row.status, row.reason) == ("ok", "")
    assert {"driver", "node0", "node1"} < {*variables_of}
    assert variables_of["node1"]["SHOP_TOKEN"] == TOKEN
    wrong = {part: unlisted(row.backend, part, known) for part, known in variables_of.items()}
    assert not any(wrong.values()), wrong
    commands = [" ".join(process.words) for process in seen.values()]
    assert not [line for line in commands for secret in (TOKEN, *passwords) if secret in line]
