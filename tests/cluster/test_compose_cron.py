"""Tests the cron daemon of a cluster in containers."""

from __future__ import annotations

import shlex

import pytest
import yaml

from lab.providers.compose_override import FILE
from lab.providers.engine import engine
from lab.providers.images import Images

pytestmark = [pytest.mark.cluster, pytest.mark.calm]

SPOOL = "/var/spool/cron/crontabs"
# Waits for the second minute: cron may have begun the first one before the line was there.
ADD = """
{cron} & sleep 0.05
echo '* * * * * touch /tmp/ran' | crontab -
for n in $(seq 1250); do [ -e /tmp/ran ] && echo ran && exit; sleep 0.1; done
"""


def test_cron_runs_a_line_that_is_added_in_the_second_in_which_it_starts(
    containers: Images,
) -> None:
    """Cron compares the times of its folder in seconds, so it would never read this line."""
    service = yaml.safe_load(FILE.read_text(encoding="utf-8"))["services"]["cron"]
    script = ADD.format(cron=shlex.join(service["command"]))
    with engine() as client:
        output = client.containers.run(
            containers["node"].name,
            ["sh", "-c", script],
            user=service["user"],
            cap_add=service["cap_add"],
            network_mode="none",
            tmpfs={SPOOL: "mode=1730,gid=102"},
            remove=True,
        )
    assert output.decode().strip() == "ran"
