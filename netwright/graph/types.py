"""Value types: a shape, a dtype and, for quantised activations, the scale and zero point."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

DTYPES: dict[str, np.dtype] = {
    name: np.dtype(name)
    for name in ("float64", "float32", "float16", "int64", "int32", "int16", "int8", "uint8", "bool")
}
FLOATS = frozenset(("float64", "float32", "float16"))


class Quant(NamedTuple):
    """Per-tensor affine quantisation: real = scale * (q - zero). `scale` is a float32 value held exactly."""

    scale: float
    zero: int


UNIT_QUANT = Quant(1.0, 0)  # integers that stand for themselves


class Type(NamedTuple):
    """Shape (ints, static), dtype name, and the quantisation of an integer activation if it stands for reals."""

    shape: tuple[int, ...]
    dtype: str = "float32"
    quant: Quant | None = None

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """Size in bytes."""
        return math.prod(self.shape) * DTYPES[self.dtype].itemsize

    def with_shape(self, shape: tuple[int, ...]) -> Type:
        """The same dtype and quantisation with another shape."""
        return Type(shape, self.dtype, self.quant)

    def __str__(self) -> str:
        dims = ",".join(map(str, self.shape))
        scale = f"{{{self.quant.scale!r},{self.quant.zero}}}" if self.quant else ""
        return f"{self.dtype}[{dims}]{scale}"


def parse_type(text: str) -> Type:
    """Inverse of `str(type)`. Raises ValueError on anything else."""
    head, bracket, rest = text.partition("[")
    dims, closing, quant_text = rest.partition("]")
    if not bracket or not closing or head not in DTYPES:
        raise ValueError(f"not a type: {text!r} (expected for example float32[1,3,8,8])")
    shape = tuple(int(d) for d in dims.split(",") if d)
    if any(d < 0 for d in shape):
        raise ValueError(f"negative dimension in type {text!r}")
    quant = None
    if quant_text:
        scale, _, zero = quant_text.strip("{}").partition(",")
        quant = Quant(float(scale), int(zero))
    return Type(shape, head, quant)


def broadcast(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    """NumPy's broadcasting rule. Raises ValueError naming the shapes."""
    if len(set(shapes)) == 1:
        return shapes[0]
    rank = max(map(len, shapes))
    out = []
    for axis in range(-rank, 0):
        dims = {s[axis] for s in shapes if len(s) >= -axis} - {1}
        if len(dims) > 1:
            raise ValueError(f"shapes {' and '.join(map(str, shapes))} do not broadcast")
        out.append(dims.pop() if dims else 1)
    return tuple(out)
