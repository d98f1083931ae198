"""Serializes values so that equal values give equal bytes, whichever process computed them.

It uses the C `pickle`, which supports every type that tasks return, with three changes:

* No memo. With a memo, the bytes depend on whether two equal parts are the same object.
* Dictionaries are sorted by key and sets by element, because their order depends on insertion and
  on the hash seed.
* Buffers are read in place (PEP 574): all bytes of a large array count, and none is copied. The
  memory layout counts as well.

The worker imports this module with the first answer that is neither a number nor a text, so it
uses the standard library only.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from pickle import Pickler
from typing import Any

PROTOCOL = 5


def digest(value: Any) -> int:
    """Return the CRC-32 of the canonical bytes of a value.

    Raises:
        Exception: The value cannot be pickled, contains itself (ValueError), or is nested deeper
            than the interpreter's recursion limit (RecursionError).
    """
    sink = _Crc()
    _CanonicalPickler(sink).dump(value)
    return sink.crc


class _Crc:
    """A writable file that stores only the CRC-32 of its content."""

    def __init__(self) -> None:
        self.crc = 0

    def write(self, data: Any) -> None:
        self.crc = zlib.crc32(data, self.crc)


class _CanonicalPickler(Pickler):
    def __init__(self, sink: _Crc) -> None:
        super().__init__(sink, PROTOCOL, buffer_callback=lambda buffer: sink.write(buffer.raw()))
        self.fast = True  # no memo

    def persistent_id(self, value: Any) -> list[Any] | None:
        """Replace an unordered value by a sorted list; pickle calls this for each part."""
        kind = type(value)
        if kind is dict:
            return ["dict", *_sorted(value.items(), lambda item: item[0])]
        if kind is set or kind is frozenset:
            return [kind.__name__, *_sorted(value, lambda element: element)]
        if kind is memoryview:  # pickle does not support it
            return ["memoryview", value.tobytes()]
        return None


def _sorted(parts: Iterable[Any], key: Callable[[Any], Any]) -> list[Any]:
    """Sort by the keys if all are text, which is usual and fast; otherwise by their digests."""
    parts = list(parts)
    if all(type(key(part)) is str for part in parts):
        return sorted(parts, key=key)
    return sorted(parts, key=lambda part: digest(key(part)))
