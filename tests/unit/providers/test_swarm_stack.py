"""Tests the stack file of a swarm: what it takes over from Compose, and what it never contains."""

from __future__ import annotations

import json
from typing import Any

from lab.providers.swarm_hosts import Host
from lab.providers.swarm_stack import stack_of

HERE, FAR = Host("n1", "id-of-n1", "", 2), Host("n2", "id-of-n2", "ssh://n2", 8)
HOSTS = {"redis": HERE, "driver": HERE, "node0": HERE, "node1": FAR, "agent0": HERE, "agent1": FAR}
LABELS = {"lab.run": "lab-1", "lab.owner": "here:1:2"}
PART = {
    "cap_drop": ["ALL"],
    "cpuset": "0",
    "entrypoint": None,
    "init": True,
    "labels": LABELS,
    "logging": {"driver": "json-file"},
    "mem_limit": "1073741824",
    "memswap_limit": "1073741824",
    "networks": {"cluster": None},
    "pids_limit": 4096,
    "profiles": ["redis"],
    "pull_policy": "never",
    "read_only": True,
    "restart": "no",
    "security_opt": ["no-new-privileges:true"],
    "stop_grace_period": "2s",
    "tmpfs": ["/tmp:mode=1777"],  # noqa: S108 (of a container)
}
OURS = PART | {
    "image": "lab-node:1",
    "environment": {"LAB_LEDGER": "/trial/ledger"},
    "volumes": [{"type": "volume", "source": "ledger", "target": "/trial", "volume": {}}],
}
DISK = {"type": "volume", "source": "redis", "target": "/data", "volume": {}}
LEDGER = {"driver": "local", "driver_opts": {"type": "tmpfs"}, "labels": LABELS}
DESCRIBED = {
    "name": "lab-1",
    "services": {
        "redis": PART
        | {"image": "redis:7", "environment": {"LAB_PASSWORD": "p"}, "shm_size": "134217728"}
        | {"volumes": [DISK]},
        "driver": OURS | {"command": ["sleep", "infinity"]},
        "node0": OURS | {"command": ["python"], "hostname": "node0"},
        "node1": OURS | {"command": ["python"], "hostname": "node1"},
    },
    "networks": {"cluster": {"name": "lab-1_cluster", "labels": LABELS, "internal": True}},
    "volumes": {"ledger": {"name": "lab-1_ledger"} | LEDGER, "redis": {"labels": LABELS}},
}
IMAGES = {"lab-node:1": "sha256:a", "redis:7": "sha256:b"}


def stack() -> dict[str, Any]:
    """Return the stack of the description."""
    described: dict[str, Any] = json.loads(stack_of(DESCRIBED, HOSTS, IMAGES, "token"))
    return described


def test_each_service_is_on_its_host_with_one_address() -> None:
    """And nothing replaces a container that has ended: its end fails the trial."""
    services = stack()["services"]
    assert services.keys() == HOSTS.keys()
    for name, service in services.items():
        deploy = service["deploy"]
        assert deploy["placement"] == {"constraints": [f"node.id == {HOSTS[name].node}"]}
        assert deploy["endpoint_mode"] == "dnsrr"
        assert deploy["restart_policy"] == {"condition": "none"}
        assert deploy["resources"]["limits"] == {"memory": "1073741824", "pids": 4096}


def test_a_stack_has_the_protection_of_the_compose_file() -> None:
    """No port, no socket of the engine, no capability, and a network without a way out."""
    described = stack()
    for service in described["services"].values():
        assert (service["cap_drop"], service["read_only"], service["init"]) == (["ALL"], True, True)
        assert not service.keys() & {"ports", "privileged", "network_mode", "cap_add"}
        assert {mount["type"] for mount in service["volumes"]} <= {"volume", "tmpfs"}
    assert described["networks"]["cluster"]["internal"]
    assert described["networks"]["cluster"]["driver"] == "overlay"


def test_images_are_named_by_their_ids_and_never_pulled() -> None:
    """A registry may have another image of the same name."""
    images = {name: service["image"] for name, service in stack()["services"].items()}
    assert images.pop("redis") == "sha256:b"
    assert {*images.values()} == {"sha256:a"}


def test_nodes_and_agents_share_a_volume_that_the_driver_does_not_see() -> None:
    """On the manager's host too: there the driver would count each record twice."""
    described = stack()
    sources = {
        name: service["volumes"][0]["source"]
        for name, service in described["services"].items()
        if name != "redis"
    }
    workers = dict.fromkeys(("node0", "node1", "agent0", "agent1"), "records")
    assert sources == {"driver": "ledger", **workers}
    assert described["volumes"]["records"] == described["volumes"]["ledger"] == LEDGER
    command = described["services"]["agent1"]["command"]
    assert command[1:4] == ["-m", "lab.recording.node_agent", "/trial/ledger"]


def test_only_driver_and_agents_have_the_token() -> None:
    """The agents answer no other process."""
    services = stack()["services"]
    having = {name for name, each in services.items() if "LAB_TOKEN" in each["environment"]}
    assert having == {"driver", "agent0", "agent1"}


def test_every_object_has_the_labels_by_which_it_is_removed() -> None:
    """Services have labels of their own, beside those of their containers."""
    described = stack()
    for service in described["services"].values():
        assert service["deploy"]["labels"] == LABELS
        assert service["labels"].items() > LABELS.items()
    objects = [*described["volumes"].values(), *described["networks"].values()]
    assert [thing["labels"] for thing in objects] == [LABELS] * 4


def test_memory_folders_are_mounts() -> None:
    """A stack ignores `tmpfs` and `shm_size`."""
    assert stack()["services"]["redis"]["volumes"] == [
        {"type": "volume", "source": "redis", "target": "/data"},
        {"type": "tmpfs", "target": "/tmp"},  # noqa: S108 (of a container)
        {"type": "tmpfs", "target": "/dev/shm", "tmpfs": {"size": 134217728}},  # noqa: S108 (too)
    ]
