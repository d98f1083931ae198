"""Reads small files of the kernel and the limits of the enclosing control groups."""

from __future__ import annotations

import re
import socket
import sys
from pathlib import Path

CPUS = Path("/sys/devices/system/cpu")
# In control groups of version 2, and of version 1.
NO_LIMIT = ("max", "-1")
ROOT = Path("/")
ESTABLISHED = "01"


def text_of(path: Path) -> str | None:
    """Return the text of a kernel file; None if it does not exist or is not readable."""
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return None


def cgroup_texts(controller: str, name: str, root: Path = Path("/")) -> list[str]:
    """Return the texts of a control file of this process's cgroup and its parents, innermost first.

    Supports cgroup v1 (one tree per controller) and v2 (one tree). Empty if none is readable.
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
        # A container may show the group's path on the host, while its tree starts at that group.
        innermost = tree / group.lstrip("/")
        parents = [path for path in innermost.parents if path == tree or tree in path.parents]
        texts = [text_of(folder / name) for folder in (innermost, *parents)]
        return [text for text in texts if text is not None]
    return []


def user_of_peer(peer: tuple[str, int], here: tuple[str, int], root: Path = ROOT) -> int | None:
    """Return the user id of the process at the other end of a TCP connection on this machine.

    Args:
        peer: Host and port of the other end.
        here: Host and port of this end.
        root: Root folder of the kernel's files.

    Returns:
        None if there is no such connection, or if the process at the other end has closed it: the
        kernel lists a socket without a process as a socket of root.
    """
    wanted = [_kernel_address(*peer), _kernel_address(*here), ESTABLISHED]
    table = "tcp6" if ":" in peer[0] else "tcp"
    for line in (text_of(root / "proc/self/net" / table) or "").splitlines()[1:]:
        fields = line.split()
        if fields[1:4] == wanted:
            user, inode = int(fields[7]), int(fields[9])
            return user if inode else None
    return None


def _kernel_address(host: str, port: int) -> str:
    packed = socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host)
    # The kernel prints each word of 32 bits in the byte order of the CPU.
    words = (packed[at : at + 4] for at in range(0, len(packed), 4))
    number = "".join(f"{int.from_bytes(word, sys.byteorder):08X}" for word in words)
    return f"{number}:{port:04X}"


def cpu_limit(root: Path = Path("/")) -> float | str:
    """Return the number of CPUs of the tightest quota; ``"none"``, or empty if unreadable."""
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
    """Return the tightest memory limit in bytes; ``"none"``, or empty if unreadable."""
    texts = cgroup_texts("memory", "memory.max", root) or cgroup_texts(
        "memory", "memory.limit_in_bytes", root
    )
    # cgroup v1 writes "no limit" as a number that is larger than any memory.
    limits = [int(text) for text in texts if text not in NO_LIMIT and int(text) < 1 << 60]
    return min(limits, default="none" if texts else "")


def chosen(text: str | None) -> str | None:
    """Return the word in brackets, which is how the kernel marks the active one of its choices."""
    match = re.search(r"\[(\w+)\]", text or "")
    return match and match[1]


def cpu_values(pattern: str) -> str | None:
    """Return the distinct values of a CPU setting, joined by commas; None if none is readable."""
    values = {text for path in CPUS.glob(pattern) if (text := text_of(path))}
    return ",".join(sorted(values)) or None
