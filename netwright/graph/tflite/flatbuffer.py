"""Reading flatbuffers without trusting them: every offset is checked against the file before it is followed.

Source: the FlatBuffers internals document. A table begins with a signed offset back to its vtable; the vtable lists,
slot by slot, where each field lies in the table (0: absent, the default holds). Offsets to children point forward only,
so a damaged file cannot send a reader round in circles; but many parents may share a child, and a small file could be
read for ever that way. What is read is therefore counted: tables and lists may not come to more than twice the file.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

_FORMATS = {"b": "<b", "B": "<B", "?": "<?", "h": "<h", "H": "<H", "i": "<i", "I": "<I", "q": "<q", "f": "<f"}


class Damaged(ValueError):
    """The bytes are no flatbuffer of the kind expected; the message says what was being read."""


class Table:
    """One table of a flatbuffer; fields are asked for by slot."""

    __slots__ = ("_at", "_data", "_fields", "_left", "_vtable")

    def __init__(self, data: bytes, at: int, left: list[int]) -> None:
        self._data, self._at, self._left = data, at, left
        self._spend(4)
        vtable = at - int(self._number("i", at))
        if vtable < 0:
            raise Damaged(f"the table at byte {at} has its layout outside the file")
        size = int(self._number("H", vtable))
        if size < 4 or vtable + size > len(data):
            raise Damaged(f"the table at byte {at} has a layout of {size} bytes")
        self._vtable, self._fields = vtable, (size - 4) // 2

    @classmethod
    def root(cls, data: bytes) -> Table:
        """The table that a buffer begins with."""
        if len(data) < 8:
            raise Damaged(f"{len(data)} bytes are too few")
        return cls(data, struct.unpack_from("<I", data, 0)[0], [4096 + 2 * len(data)])

    def _spend(self, size: int) -> None:
        """Count bytes that are read; `_left` is shared by all tables of a file."""
        self._left[0] -= size
        if self._left[0] < 0:
            raise Damaged("its parts are shared over and over, so that they come to more than the file")

    def _number(self, kind: str, at: int) -> Any:
        form = _FORMATS[kind]
        if at < 0 or at + struct.calcsize(form) > len(self._data):
            raise Damaged(f"byte {at} is outside the file of {len(self._data):,} bytes")
        return struct.unpack_from(form, self._data, at)[0]

    def _field(self, slot: int) -> int:
        """Where a field lies, 0 where it is absent."""
        if slot >= self._fields:
            return 0
        offset = int(self._number("H", self._vtable + 4 + 2 * slot))
        return self._at + offset if offset else 0

    def number(self, slot: int, kind: str, default: Any = 0) -> Any:
        """A scalar; `kind` is a struct code: b B ? h H i I q f."""
        at = self._field(slot)
        return self._number(kind, at) if at else default

    def _child(self, at: int) -> int:
        return at + int(self._number("I", at))

    def table(self, slot: int) -> Table | None:
        """A child table."""
        at = self._field(slot)
        return Table(self._data, self._child(at), self._left) if at else None

    def _vector(self, slot: int, itemsize: int) -> tuple[int, int]:
        """(start, count) of a vector; (0, 0) where it is absent."""
        at = self._field(slot)
        if not at:
            return 0, 0
        start = self._child(at)
        count = int(self._number("I", start))
        if start + 4 + count * itemsize > len(self._data):
            raise Damaged(f"a list of {count:,} elements at byte {start} reaches outside the file")
        return start + 4, count

    def tables(self, slot: int) -> list[Table]:
        """A vector of tables."""
        start, count = self._vector(slot, 4)
        return [Table(self._data, self._child(start + 4 * i), self._left) for i in range(count)]

    def numbers(self, slot: int, dtype: str) -> np.ndarray | None:
        """A vector of numbers as a read-only view of the file; None where it is absent."""
        if not self._field(slot):
            return None
        kind = np.dtype(dtype)
        start, count = self._vector(slot, kind.itemsize)
        if kind.itemsize > 1:  # contents, which tensors may share, are bytes; they are not read here
            self._spend(count * kind.itemsize)
        return np.frombuffer(self._data, kind, count, start)

    def text(self, slot: int) -> str:
        """A string; bytes that are no UTF-8 are replaced."""
        start, count = self._vector(slot, 1)
        self._spend(count)
        return self._data[start : start + count].decode("utf-8", "replace")
