"""Turns the description of a trial's containers, as Compose resolves it, into a stack of a swarm.

A stack has the same images, commands, users, environments and limits. What Swarm does not know is
left out: CPU sets, which the provider sets later, `no-new-privileges`, and limits of swap.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from lab.providers.compose_override import DRIVER, NODE, TRIAL
from lab.providers.compose_parts import LEDGER
from lab.providers.container_events import SERVICE
from lab.providers.swarm_hosts import Host
from lab.recording import node_agent

VERSION = "3.9"
AGENT, PORT = "agent", 7_070
ANY = "0.0.0.0"  # noqa: S104 (in the network of the stack)
# The volume of the driver, and that of nodes and agent on each host: the names differ, because a
# host may have both.
DRIVERS, RECORDS = "ledger", "records"
SAME = (
    *("command", "entrypoint", "environment", "hostname", "user", "init"),
    *("cap_add", "cap_drop", "read_only", "stop_grace_period", "logging"),
)
SHARED_MEMORY = "/dev/shm"  # noqa: S108 (of one container)


def stack_of(
    described: Mapping[str, Any], hosts: Mapping[str, Host], images: Mapping[str, str], token: str
) -> bytes:
    """Return the stack file of some services.

    Args:
        described: The output of ``docker compose config --format json``.
        hosts: The host of each service; that of an agent, which Compose does not know, as well.
        images: The id of each image by its name. A swarm never pulls an image that has an id.
        token: The token of the agents.
    """
    services = described["services"]
    agent = {
        **services[DRIVER],
        "command": ["python", "-m", node_agent.__name__, f"{TRIAL}/{LEDGER}", ANY, str(PORT)],
        "environment": {node_agent.TOKEN: token},
    }
    stack = {
        name: _service(name, services.get(name) or agent | {"hostname": name}, host, images)
        for name, host in hosts.items()
    }
    if DRIVER in stack:
        variables = stack[DRIVER]["environment"]
        stack[DRIVER]["environment"] = variables | {node_agent.TOKEN: token}
    volumes = {
        name: {key: value for key, value in volume.items() if key != "name"}
        for name, volume in described["volumes"].items()
    }
    network = {"driver": "overlay", "internal": True}
    network |= {"labels": described["networks"]["cluster"]["labels"]}
    return json.dumps(
        {
            "version": VERSION,
            "services": stack,
            "networks": {"cluster": network},
            "volumes": {**volumes, RECORDS: volumes[DRIVERS]},
        }
    ).encode()


def _service(
    name: str, described: Mapping[str, Any], host: Host, images: Mapping[str, str]
) -> dict[str, Any]:
    mounts = [_volume(name, volume) for volume in described.get("volumes") or ()]
    mounts += [_memory(text.partition(":")[0]) for text in described.get("tmpfs") or ()]
    if size := described.get("shm_size"):
        mounts.append(_memory(SHARED_MEMORY, int(size)))
    service = {key: described[key] for key in SAME if described.get(key) is not None}
    limits = {"memory": str(described["mem_limit"]), "pids": int(described["pids_limit"])}
    labels = described["labels"]
    return {
        **service,
        "image": images[described["image"]],
        "labels": {**labels, SERVICE: name},
        "networks": ["cluster"],
        "volumes": mounts,
        "deploy": {
            "labels": labels,
            # One address for each name, as in Compose: no virtual one, whose packets are changed.
            "endpoint_mode": "dnsrr",
            "placement": {"constraints": [f"node.id == {host.node}"]},
            # The end of a container is a failure of its trial.
            "restart_policy": {"condition": "none"},
            "resources": {"limits": limits},
        },
    }


def _volume(name: str, described: Mapping[str, Any]) -> dict[str, Any]:
    source = described["source"]
    is_on_worker = name.startswith((NODE, AGENT))
    return {
        "type": described["type"],
        "source": RECORDS if source == DRIVERS and is_on_worker else source,
        "target": described["target"],
    }


def _memory(target: str, size: int = 0) -> dict[str, Any]:
    return {"type": "tmpfs", "target": target} | ({"tmpfs": {"size": size}} if size else {})
