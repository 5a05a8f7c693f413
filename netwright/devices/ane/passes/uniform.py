"""One allocation size for all inputs, and one for all outputs (Orion 2026, R2, R4, R12)."""

from __future__ import annotations

from collections.abc import Iterable

from ..mil import Variable

LEAST = 49_152  # bytes: 768 x 16 in fp32


def allocation(variables: Iterable[Variable]) -> int:
    """Bytes to allocate for each: the largest of them, and at least 49,152."""
    return max([LEAST, *(v.type.bytes for v in variables)])
