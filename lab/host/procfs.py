"""The small files of the kernel, and the control groups around us; one that is missing is None."""

from __future__ import annotations

import re
import socket
import sys
from pathlib import Path

CPUS = Path("/sys/devices/system/cpu")
NO_LIMIT = ("max", "-1")
ROOT = Path("/")
ESTABLISHED = "01"


def text_of(path: Path) -> str | None:
    """Read a small file of the kernel; None where there is none or it may not be read."""
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return None


def cgroup_texts(controller: str, name: str, root: Path = Path("/")) -> list[str]:
    """Read a control file of our own cgroup and of those around it, innermost first.

    Knows cgroup v1 (one tree a controller) and v2 (one tree). Empty when nothing is readable.
    """
    mount = root / "sys/fs/cgroup"
    for line in (text_of(root / "proc/self/cgroup") or "").splitlines():
        number, controllers, group = line.split(":", 2)
        if controller in controllers.split(","):
            tree = mount / controller
        elif number == "0" and (mount / "cgroup.controllers").exists():
            tree = mount
        else:
            continue
        # In a container the group may be named as the host sees it; its tree then starts at ours.
        own = tree / group.lstrip("/")
        around = [own, *(p for p in own.parents if p == tree or tree in p.parents)]
        texts = [text_of(folder / name) for folder in around]
        return [text for text in texts if text is not None]
    return []


def user_of_peer(peer: tuple[str, int], here: tuple[str, int], root: Path = ROOT) -> int | None:
    """Return the user id of the process at the other end of a TCP connection on this machine.

    Args:
        peer: Host and port of the other end.
        here: Those of this end.
        root: Where the kernel's files lie.

    Returns:
        None where there is no such end, or where its process has closed it: the kernel shows what
        nobody holds any more as root's.
    """
    wanted = [_in_kernels_words(*peer), _in_kernels_words(*here), ESTABLISHED]
    table = "tcp6" if ":" in peer[0] else "tcp"
    for line in (text_of(root / "proc/self/net" / table) or "").splitlines()[1:]:
        fields = line.split()
        if fields[1:4] == wanted:
            user, inode = int(fields[7]), int(fields[9])
            return user if inode else None
    return None


def _in_kernels_words(host: str, port: int) -> str:
    packed = socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host)
    words = (packed[at : at + 4] for at in range(0, len(packed), 4))
    number = "".join(f"{int.from_bytes(word, sys.byteorder):08X}" for word in words)
    return f"{number}:{port:04X}"


def cpu_limit(root: Path = Path("/")) -> float | str:
    """Return how many CPUs the tightest quota allows: ``"none"``, or empty when unreadable."""
    quotas = [text.split() for text in cgroup_texts("cpu", "cpu.max", root)] or [
        [quota, period]
        for quota, period in zip(
            cgroup_texts("cpu", "cpu.cfs_quota_us", root),
            cgroup_texts("cpu", "cpu.cfs_period_us", root),
            strict=True,
        )
    ]
    limits = [int(quota) / int(period) for quota, period in quotas if quota not in NO_LIMIT]
    return min(limits, default="none" if quotas else "")


def memory_limit(root: Path = Path("/")) -> int | str:
    """Return the tightest memory limit in bytes: ``"none"``, or empty when unreadable."""
    texts = cgroup_texts("memory", "memory.max", root) or cgroup_texts(
        "memory", "memory.limit_in_bytes", root
    )
    # Version 1 says "no limit" by a number beyond any memory.
    limits = [int(t) for t in texts if t not in NO_LIMIT and int(t) < 1 << 60]
    return min(limits, default="none" if texts else "")


def chosen(text: str | None) -> str | None:
    """Pick the word in brackets, the kernel's way to show a choice."""
    found = re.search(r"\[(\w+)\]", text or "")
    return found and found[1]


def cpu_values(pattern: str) -> str | None:
    """Join the different values that a setting has on the CPUs; None where none is readable."""
    values = {text for path in CPUS.glob(pattern) if (text := text_of(path))}
    return ",".join(sorted(values)) or None
