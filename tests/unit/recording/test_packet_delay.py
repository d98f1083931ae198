"""Tests the messages to and from the queue of packets; `tests/cluster` has a real delay."""

from __future__ import annotations

import struct

from lab.recording import packet_delay


def test_a_message_is_read_as_it_was_written() -> None:
    """Sizes are those of the content, and each part begins at a multiple of four bytes."""
    attribute = packet_delay._attribute(packet_delay.PACKET_HEADER, b"\0\0\0\7\x08\0\1")
    written = packet_delay._message(packet_delay.PACKET, 0, attribute)
    assert len(written) % 4 == 0
    (first, second) = packet_delay._messages(written * 2)
    assert first == second
    kind, payload = first
    assert kind == packet_delay.PACKET
    (read,) = packet_delay._attributes(payload[packet_delay.GENERIC.size :])
    assert read == (packet_delay.PACKET_HEADER, b"\0\0\0\7\x08\0\1")
    assert struct.unpack_from(">H", payload, 2) == (packet_delay.NUMBER,)
