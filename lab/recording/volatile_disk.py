"""Makes a disk whose file system can forget all writes that were not synced, as in a power loss.

It is ext4 on a loop device over a file. `FS_IOC_SHUTDOWN` ends the file system as a power loss
does: what is only in the page cache or in an open transaction never reaches the device. The next
mount recovers its journal. It needs CAP_SYS_ADMIN, and CAP_MKNOD for the nodes of the devices.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import stat
import struct
import subprocess
from pathlib import Path

from lab.host import child_environment

LOOP_MAJOR, CONTROL = 7, (10, 237)
# linux/loop.h, fs.h
LOOP_CTL_GET_FREE, LOOP_CONFIGURE, AUTOCLEAR = 0x4C82, 0x4C0A, 4
FS_IOC_SHUTDOWN, NO_LOG_FLUSH = 0x8004587D, 2
# struct loop_config: the file, the flags, and zeros for the rest.
LOOP_CONFIG = struct.Struct("=I4x52xI240x")
TRIES = 8
# Any user may write, as in the folders of the servers.
MODE = "set_inode_field <2> mode 041777"


def make(image: Path, n_bytes: int) -> tuple[str, int]:
    """Make a disk in the file `image`; return its device and a descriptor that holds it.

    The device is released when it is not mounted and the descriptor is closed.

    Raises:
        OSError: There is no free loop device, or this process may not use it.
        subprocess.CalledProcessError: The file system was not made.
    """
    with image.open("wb") as file:
        file.truncate(n_bytes)
    environment = child_environment.of_process()
    for command in (["mke2fs", "-q", "-F", "-t", "ext4"], ["debugfs", "-w", "-R", MODE]):
        subprocess.run([*command, str(image)], check=True, capture_output=True, env=environment)
    control = os.open(_node("loop-control", stat.S_IFCHR, CONTROL), os.O_RDWR)
    backing = os.open(image, os.O_RDWR)
    try:
        for _ in range(TRIES):
            number = fcntl.ioctl(control, LOOP_CTL_GET_FREE)
            name = f"loop{number}"
            device = os.open(_node(name, stat.S_IFBLK, (LOOP_MAJOR, number)), os.O_RDWR)
            try:
                fcntl.ioctl(device, LOOP_CONFIGURE, LOOP_CONFIG.pack(backing, AUTOCLEAR))
            except OSError as error:
                os.close(device)
                if error.errno != errno.EBUSY:  # another process was faster
                    raise
            else:
                return f"/dev/{name}", device
    finally:
        os.close(control)
        os.close(backing)
    raise OSError(errno.EBUSY, "No loop device is free")


def _node(name: str, kind: int, numbers: tuple[int, int]) -> str:
    path = f"/dev/{name}"
    with contextlib.suppress(FileExistsError):
        os.mknod(path, kind | 0o600, os.makedev(*numbers))
    return path


def sync(folder: Path) -> None:
    """Write all data of the file system of a mounted folder to its disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        # Not of all file systems, as `os.sync` would: the machine may have gigabytes to write.
        if ctypes.CDLL(None, use_errno=True).syncfs(descriptor):
            raise OSError(ctypes.get_errno(), "syncfs failed")
    finally:
        os.close(descriptor)


def forget(folder: Path) -> str:
    """Forget all writes below a mounted folder that were not synced; return the proof.

    Raises:
        OSError: The file system still accepts writes.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.ioctl(descriptor, FS_IOC_SHUTDOWN, struct.pack("=I", NO_LOG_FLUSH))
    finally:
        os.close(descriptor)
    try:
        (folder / "after").touch()
    except OSError as error:
        if error.errno == errno.EIO:
            return "the file system fails with EIO"
        raise
    raise OSError(errno.EEXIST, "The file system still accepts writes")
