"""What the containers of a trial, and the engine's clients, are given: the list, and no secret."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lab.clusters.compose import ComposeCluster
from lab.engine import docker
from lab.model import Burst, Topology
from tests.foreign import JUNK
from tests.trials import run, spec_of
from tests.watching import watching

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("containers")]

# What a container has from its engine and its image, whichever of the two kinds that is.
OF_IMAGES = (
    "PATH|HOSTNAME|HOME|LANG|LC_ALL|PWD|SHLVL|OLDPWD|_|TERM|TZ|PYTHON\w+|VIRTUAL_ENV"
)
OURS = r"LAB_\w+|PYTHON(PATH|SAFEPATH|HASHSEED)"
THEIRS = ""
DUMP = "for file in /proc/[0-9]*/environ; do cat $file; done 2>/dev/null || true"
TOKEN = "not-for-arguments"  # noqa: S105 (of nobody)


@pytest.mark.parametrize("label", ["celery[prefork]", "celery[prefork+rabbitmq]", "django-q[orm+postgres]", "dask[distributed]"])
def test_containers_have_variables_of_the_list_alone(
    label: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each process in each; and no argument of a client of the engine shows a value."""
    for name, value in JUNK.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SHOP_TOKEN", TOKEN)
    given, passwords = dict[str, dict[str, str]](), list[str]()
    prove = ComposeCluster.prove_connections

    def dump(cluster: ComposeCluster) -> None:
        prove(cluster)
        passwords.append(cluster.password)
        for name, part in cluster.parts.items():
            entries = docker("exec", part.id, "sh", "-c", DUMP).decode().split("\0")
            given[name] = dict(entry.partition("=")[::2] for entry in entries if entry)

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
    for n, v in given.items():
        print(n, {k: x[:30] for k,x in sorted(v.items()) if not k.startswith("LAB_")})
    words = [" ".join(process.words) for process in seen.values()]
    print(len(words))
    assert any("docker exec" in line for line in words)
    assert not [line for line in words for secret in (TOKEN, *passwords) if secret in line]
