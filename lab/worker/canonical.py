"""Writes values down so that equal ones give equal bytes, in whatever process they were computed.

It is `pickle` in C, which knows every type that tasks return, with three changes. It has no memo:
with one, the bytes depend on whether two equal parts are one object. Dictionaries are sorted by
key and sets by element: their order depends on how they were filled and on the hash seed. Buffers
are read in place (PEP 574), so that each byte of a large array counts and none is copied; its
memory layout counts as well.

The kernel imports it with the first answer that is no plain number or text: standard library only.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from pickle import Pickler
from typing import Any

PROTOCOL = 5


def digest(value: Any) -> int:
    """Return CRC-32 over the canonical bytes of a value.

    Raises:
        Exception: It cannot be pickled; or it contains itself (ValueError), or is nested deeper
            than the interpreter's recursion limit (RecursionError).
    """
    sink = _Crc()
    _CanonicalPickler(sink).dump(value)
    return sink.crc


class _Crc:
    """A file to write to, of which only the CRC-32 is stored."""

    def __init__(self) -> None:
        self.crc = 0

    def write(self, data: Any) -> None:
        self.crc = zlib.crc32(data, self.crc)


class _CanonicalPickler(Pickler):
    def __init__(self, sink: _Crc) -> None:
        super().__init__(sink, PROTOCOL, buffer_callback=lambda buffer: sink.write(buffer.raw()))
        self.fast = True  # no memo

    def persistent_id(self, value: Any) -> list[Any] | None:
        """Replace a value whose order is no part of it; pickle calls this for each part."""
        kind = type(value)
        if kind is dict:
            return ["dict", *_sorted(value.items(), lambda item: item[0])]
        if kind is set or kind is frozenset:
            return [kind.__name__, *_sorted(value, lambda element: element)]
        if kind is memoryview:  # not known to pickle
            return ["memoryview", value.tobytes()]
        return None


def _sorted(parts: Iterable[Any], key: Callable[[Any], Any]) -> list[Any]:
    """Sort by the keys where all are text, which is usual and fast; else by their digests."""
    parts = list(parts)
    if all(type(key(part)) is str for part in parts):
        return sorted(parts, key=key)
    return sorted(parts, key=lambda part: digest(key(part)))
