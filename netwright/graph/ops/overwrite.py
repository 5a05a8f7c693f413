"""Writing rows into a tensor: what a key-value cache does at every step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..builder import Builder
from ..graph import Value
from ..op import Composite
from .binary import Add, Maximum, Minimum, Sub
from .common import axis_of, need_same_dtype
from .compare import And, GreaterEqual, Less, Where
from .index import Gather
from .shape import Reshape


@dataclass(frozen=True)
class Overwrite(Composite):
    """x [.., n, ..] with its slices from start[0] on along `axis` replaced by y [.., m, ..]; start is int64 [1].

    Slices of y that fall outside are dropped. Where x is a state and the result its next value, nothing is copied.
    """

    updates: ClassVar[tuple[int, ...]] = (0,)
    axis: int = 0

    def expand(self, b: Builder, x: Value, y: Value, start: Value) -> Value:  # type: ignore[override]
        need_same_dtype(self.name, x, y)  # type: ignore[arg-type]
        axis = axis_of(self.axis, len(x.shape), self.name)
        if len(y.shape) != len(x.shape) or any(m != n for i, (m, n) in enumerate(zip(y.shape, x.shape)) if i != axis):
            raise ValueError(f"overwrite along axis {axis} of {list(x.shape)} with {list(y.shape)}")
        if start.type.shape != (1,) or start.dtype != "int64":
            raise ValueError(f"overwrite starts at an int64[1], got {start.type}")
        size, count = x.shape[axis], y.shape[axis]
        place = b(Sub(), b.constant(np.arange(size, dtype=np.int64), "rows"), start)  # of each row, within y
        zero, last = (b.constant(np.array([n], np.int64), f"i{n}") for n in (0, count - 1))
        spread = b(Gather(axis), y, b(Minimum(), b(Maximum(), place, zero), last))
        inside = b(And(), b(GreaterEqual(), place, zero), b(Less(), place, b(Add(), last, b.constant([1], "i1"))))
        shape = tuple(size if i == axis else 1 for i in range(len(x.shape)))
        return b(Where(), b(Reshape(shape), inside), spread, x)

    def numpy(self, x: Any, y: Any, start: Any) -> Any:
        out = x.copy()
        overwrite(out, y, int(start[0]), self.axis % x.ndim)
        return out


def overwrite(x: np.ndarray, y: np.ndarray, start: int, axis: int) -> None:
    """The same in place."""
    first, last = max(0, start), min(x.shape[axis], start + y.shape[axis])
    if first < last:
        before = (slice(None),) * axis
        x[(*before, slice(first, last))] = y[(*before, slice(first - start, last - start))]
