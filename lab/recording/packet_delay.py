"""Delays the TCP packets of this network by NFQUEUE of the Linux kernel, in their order.

A rule of iptables hands each packet to a queue, and a thread accepts it a while later. The means
is in more kernels than netem, and a connection needs no proxy before the delay begins. If this
program ends, the kernel lets the packets pass (`--queue-bypass`); if the queue is full, too.
"""

from __future__ import annotations

import collections
import contextlib
import select
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Iterator

from lab.host import child_environment

# linux/netlink.h, nfnetlink.h, nfnetlink_queue.h
NETLINK_NETFILTER = 12
NLM_F_REQUEST, NLM_F_ACK, NLMSG_ERROR = 1, 4, 2
SUBSYSTEM = 3 << 8
PACKET, CONFIG, VERDICT_BATCH = SUBSYSTEM, SUBSYSTEM | 2, SUBSYSTEM | 3
PACKET_HEADER = 1
CFG_CMD, CFG_PARAMS, CFG_QUEUE_MAXLEN, CFG_MASK, CFG_FLAGS = 1, 2, 3, 4, 5
VERDICT_HEADER = 2
BIND, COPY_META, NF_ACCEPT = 1, 1, 1
FAIL_OPEN, GSO = 1, 4
SO_RCVBUFFORCE = 33
HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence number, port
GENERIC = struct.Struct(">BBH")  # family, version, number of the queue
ATTRIBUTE = struct.Struct("=HH")  # length, type
ALIGNED = 4
NUMBER = 16
MOST_PACKETS, RECEIVE_BYTES = 16_384, 16 << 20
IDLE_S = 0.05
RULES = (("INPUT", "-i"), ("OUTPUT", "-o"))


class PacketDelay:
    """A delay that begins at once and lasts until `end`.

    Raises:
        OSError: The kernel has no NFQUEUE, this process may not use it, or iptables failed.
    """

    def __init__(self, delay_s: float) -> None:
        self._delay_ns = round(delay_s * 1e9)
        self._waiting: collections.deque[tuple[int, int]] = collections.deque()
        self._socket = _queue()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        try:
            _change_rules("-I")
        except BaseException:
            self._stop()
            raise

    def end(self) -> None:
        """Remove the rules, and accept all packets that still wait."""
        try:
            _change_rules("-D")
        finally:
            self._stop()

    def _stop(self) -> None:
        self._ending.set()
        self._thread.join()
        self._socket.close()

    def _run(self) -> None:
        while self._waiting or not self._ending.is_set():
            wait_s = (self._waiting[0][0] - time.monotonic_ns()) / 1e9 if self._waiting else IDLE_S
            if select.select([self._socket], [], [], max(0.0, wait_s))[0]:
                with contextlib.suppress(OSError):  # ENOBUFS: packets came faster than this thread
                    due_ns = time.monotonic_ns() + self._delay_ns
                    self._waiting.extend((due_ns, number) for number in self._received())
            self._accept(time.monotonic_ns())

    def _received(self) -> Iterator[int]:
        """Read a message, and yield the numbers of the packets in it."""
        for kind, payload in _messages(self._socket.recv(1 << 16)):
            if kind == PACKET:
                for attribute, value in _attributes(payload[GENERIC.size :]):
                    if attribute == PACKET_HEADER:
                        yield int.from_bytes(value[:4], "big")

    def _accept(self, now_ns: int) -> None:
        """Let all packets pass that are due."""
        last = None
        while self._waiting and self._waiting[0][0] <= now_ns:
            last = self._waiting.popleft()[1]
        if last is not None:
            verdict = _attribute(VERDICT_HEADER, struct.pack(">II", NF_ACCEPT, last))
            self._socket.send(_message(VERDICT_BATCH, NLM_F_REQUEST, verdict))


def _queue() -> socket.socket:
    """Return a socket that receives the packets of the queue."""
    queue = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
    try:
        queue.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BYTES)
        queue.bind((0, 0))
        flags = struct.pack(">I", FAIL_OPEN | GSO)
        for attribute in (
            _attribute(CFG_CMD, struct.pack(">BBH", BIND, 0, socket.AF_INET)),
            _attribute(CFG_PARAMS, struct.pack(">IB", 0, COPY_META)),
            _attribute(CFG_QUEUE_MAXLEN, struct.pack(">I", MOST_PACKETS)),
            _attribute(CFG_FLAGS, flags) + _attribute(CFG_MASK, flags),
        ):
            queue.send(_message(CONFIG, NLM_F_REQUEST | NLM_F_ACK, attribute))
            _check(queue.recv(1 << 16))
    except BaseException:
        queue.close()
        raise
    return queue


def _check(answer: bytes) -> None:
    """Raise OSError if the kernel has refused a setting."""
    for kind, payload in _messages(answer):
        if kind == NLMSG_ERROR and (code := -struct.unpack_from("=i", payload)[0]):
            raise OSError(code, "NFQUEUE cannot be used")


def _change_rules(action: str) -> None:
    for chain, interface in RULES:
        # The last option lets the packets pass while no program reads the queue.
        rule = (chain, "-p", "tcp", "!", interface, "lo")
        target = ("-j", "NFQUEUE", "--queue-num", str(NUMBER), "--queue-bypass")
        command = ["iptables", action, *rule, *target]
        environment = child_environment.of_process()
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise OSError(f"iptables: {done.stderr.strip()}")


def _message(kind: int, flags: int, attributes: bytes) -> bytes:
    content = GENERIC.pack(socket.AF_UNSPEC, 0, NUMBER) + attributes
    return HEADER.pack(HEADER.size + len(content), kind, flags, 0, 0) + content


def _attribute(kind: int, value: bytes) -> bytes:
    size = ATTRIBUTE.size + len(value)
    return ATTRIBUTE.pack(size, kind) + value + bytes(-size % ALIGNED)


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the type and the payload of each netlink message."""
    while len(data) >= HEADER.size:
        size, kind, *_ = HEADER.unpack_from(data)
        yield kind, data[HEADER.size : size]
        data = data[size + -size % ALIGNED :]


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the type and the value of each netlink attribute."""
    while len(data) >= ATTRIBUTE.size:
        size, kind = ATTRIBUTE.unpack_from(data)
        yield kind, data[ATTRIBUTE.size : size]
        data = data[size + -size % ALIGNED :]
