"""Describes a trial's containers beyond compose.yaml: their CPUs, commands and environment."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lab.core.backend import services_of, setup_to_json
from lab.core.faults import Fault, FaultKind, Persistence
from lab.core.model import BackendContext, Command, Service
from lab.core.placement import cpu_text
from lab.core.provider import TrialContext
from lab.host import faked_clock
from lab.providers import images, servers
from lab.providers.images import recipe
from lab.worker import container, user_function

FILE = recipe.FOLDER / "compose.yaml"
TRIAL = "/trial"
SETUP = "LAB_SETUP"
LUGGAGE = "luggage"
# tar exits with 1 if a file changed while it was read, as a backend's database may.
PACK = f"tar -C {TRIAL} --exclude=./luggage -czf - . || test $? = 1"
# Period of a CPU quota. A node that has used its share is paused until the next period, with the
# engine's default period for up to 100 ms (METHOD M22).
PERIOD_US = 10_000
# `crontab` in the driver's container writes the lines here, and cron in its container reads them.
CRONTABS = "crontabs:/var/spool/cron/crontabs"
# The variable with a part of Redis' configuration.
PERSISTENCE = "LAB_PERSISTENCE"
# The volume of each server that a fault can fill. RabbitMQ reserves 50 MB of its disk.
DATA_FOLDERS = {"redis": "/data", "rabbitmq": "/var/lib/rabbitmq"}
# The same volumes in the driver's container, which keeps them when the server ends.
DISKS = "/disks"
SMALL_DISK = {"type": "tmpfs", "device": "tmpfs", "o": "size=160m,mode=1777"}
# The offset of a container's wall clock, and a link of the image to the library that adds it.
CLOCK, CLOCK_LIBRARY = "/tmp/clock", "/opt/libfaketime.so.1"  # noqa: S108 (of one container)
DRIVER, NODE, SCHEDULER = "driver", "node", "scheduler"
ENDPOINTS = {
    Service.REDIS: "redis://:{password}@redis:6379/0",
    Service.RABBITMQ: "amqp://lab:{password}@rabbitmq:5672//",
    Service.DASK_SCHEDULER: "tcp://dask-scheduler:8786",
    Service.POSTGRES: "postgresql://lab:{password}@postgres:5432/lab",
    Service.CRON: "crontab",
}


def endpoints(servers: Iterable[Service], password: str) -> dict[str, str]:
    """Return the address of each server, with the trial's password if the server requires one."""
    return {str(name): ENDPOINTS[name].format(password=password) for name in servers}


def needed_images(site: TrialContext) -> images.Images:
    """Return the images of the nodes and of the trial's servers.

    Raises:
        ClusterError: One is missing, or no engine answers.
    """
    return images.of(services_of(site.backend, site.spec.variant))


def environment(site: TrialContext, context: BackendContext) -> dict[str, str]:
    """Return the environment of the backend's commands inside a container."""
    return {
        **site.passed,
        **site.environment,
        **site.backend.worker_environment(context),
        "LAB_LEDGER": f"{TRIAL}/ledger",
        SETUP: setup_to_json(context),
        **_path(site),
    }


def _path(site: TrialContext) -> dict[str, str]:
    """Return the import path for a user's module, which comes after the image's packages."""
    return (
        {"PYTHONPATH": f"/app:{TRIAL}/{LUGGAGE}"}
        if user_function.is_user_function(site.spec.workload)
        else {}
    )


def server(site: TrialContext, context: BackendContext) -> dict[str, Any]:
    """Describe the CPUs and the environment of a server's container."""
    variables = dict(site.backend.server_environment(context.settings))
    variables[PERSISTENCE] = servers.PERSISTENCE[site.persistence or Persistence.NONE]
    return {"cpuset": cpu_text(site.placement.services), "environment": variables}


def parts(
    site: TrialContext,
    context: BackendContext,
    commands: Mapping[str, Sequence[Command]],
    names: Sequence[str],
) -> dict[str, Any]:
    """Describe the driver and the containers `names`: ``node0``, ``node1``, ..., ``scheduler``.

    `commands` has the commands of each node under ``node``, those of the scheduler under
    ``scheduler``.
    """
    place, quota_us = site.placement, round(site.spec.topology.quota_cpus * PERIOD_US)
    limits = {"cpu_period": PERIOD_US, "cpu_quota": quota_us} if quota_us else {}
    variables = {**site.passed, **site.environment, **_path(site)}
    variables |= {"LAB_LEDGER": f"{TRIAL}/ledger", "LAB_NODE": "0", "LAB_SLOT": "0"}
    clock = faked_clock.variables(CLOCK_LIBRARY, CLOCK) if site.has_faked_clocks else {}
    if not names:  # it executes the tasks itself
        variables |= clock
    driver: dict[str, Any] = {"cpuset": cpu_text(place.driver), "environment": variables}
    if str(Service.CRON) in context.endpoints:
        driver["volumes"] = [CRONTABS]
    if site.spec.fault and site.spec.fault.kind is FaultKind.BROKER_DISK_FULL:
        filled = [name for name in DATA_FOLDERS if name in context.endpoints]
        driver["volumes"] = [f"{name}:{DISKS}/{name}" for name in filled]
    described: dict[str, Any] = {DRIVER: driver}
    for name in names:
        kind, number = (SCHEDULER, 0) if name == SCHEDULER else (NODE, int(name[len(NODE) :]))
        slots_json = json.dumps([(in_image(c.argv), c.slots) for c in commands[kind]])
        described[name] = {
            "extends": {"file": FILE.name, "service": NODE},
            "command": ["python", "-m", container.__name__, NODE],
            "hostname": name,
            **(limits if kind == NODE else {}),
            "cpuset": cpu_text(place.services if kind == SCHEDULER else place.nodes[number]),
            "environment": {
                **environment(site, context),
                **clock,
                container.COMMANDS: slots_json,
                "LAB_NODE": str(number),
            },
        }
    return described


def file_of(parts: Mapping[str, Any], fault: Fault | None, devices: Mapping[str, str]) -> bytes:
    """Return the override file with these services and disks.

    The disks are small for a fault that fills them, and `devices` has those that can forget.
    """
    disks = {name: {"type": "ext4", "device": device} for name, device in devices.items()}
    if fault and fault.kind is FaultKind.BROKER_DISK_FULL:
        disks = dict.fromkeys(DATA_FOLDERS, SMALL_DISK)
    described: dict[str, Any] = {"services": parts}
    described["volumes"] = {name: {"driver_opts": options} for name, options in disks.items()}
    # A single "$" would begin a variable that Compose replaces.
    return json.dumps(described).replace("$", "$$").encode()


def in_image(argv: Sequence[str]) -> list[str]:
    """Return a command with this machine's interpreter replaced by the image's ``python``."""
    return ["python" if word == sys.executable else word for word in argv]
