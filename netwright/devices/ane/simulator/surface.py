"""A surface: a flat buffer of bytes that host and engine share."""

from __future__ import annotations

import numpy as np

from netwright.errors import UserError

from ..mil import DTYPES, TensorType


class Surface:
    """`size` bytes. The engine reads and writes packed elements from its start, whatever its size (R14)."""

    def __init__(self, size: int) -> None:
        self.bytes = np.zeros(size, np.uint8)

    @property
    def size(self) -> int:
        """Bytes allocated."""
        return len(self.bytes)

    def write(self, array: np.ndarray, dtype: str, at: int = 0, stride: int | None = None) -> None:
        """Elements as `dtype`, packed, from byte `at` on; rows (the last axis) begin every `stride` elements if given.

        Converting to fp16 rounds and leaves infinities as they are. Raises UserError where they do not fit.
        """
        kind = DTYPES[dtype]
        assert kind is not None
        with np.errstate(over="ignore"):
            held = np.ascontiguousarray(array, kind)
        if stride is not None:
            rows = held.reshape(-1, held.shape[-1])
            held = np.zeros((len(rows), stride), kind)
            held[:, : rows.shape[1]] = rows
        raw = held.reshape(-1).view(np.uint8)
        if at < 0 or at + raw.size > self.size:
            raise UserError(f"{raw.size:,} bytes at {at:,} do not fit a surface of {self.size:,}")
        self.bytes[at : at + raw.size] = raw

    def read(self, type: TensorType, at: int = 0) -> np.ndarray:
        """A copy of the packed elements from byte `at` on [type.shape]. Raises UserError beyond the end."""
        if at < 0 or at + type.bytes > self.size:
            raise UserError(f"{type} at {at:,} lies beyond a surface of {self.size:,} bytes")
        kind = DTYPES[type.dtype]
        assert kind is not None
        return self.bytes[at : at + type.bytes].view(kind).reshape(type.shape).copy()
