"""Arithmetic on two operands, broadcast as NumPy does."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...mil.program import TensorType
from ..call import FLOATS, Call, Kernel
from ..registry import op


def _floor_div(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.floor_divide(x, y)


def _real_div(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    # whole numbers are divided towards zero, as Core ML does
    return np.divide(x, y) if x.dtype.kind == "f" else np.trunc(np.divide(x, y)).astype(x.dtype)


_FUNCTIONS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "real_div": _real_div,
    "floor_div": _floor_div,
    "mod": np.mod,
    "pow": np.power,
    "maximum": np.maximum,
    "minimum": np.minimum,
}


@op(*_FUNCTIONS)
def binary(call: Call) -> Kernel:
    """add, sub, mul, real_div, floor_div, mod, pow, maximum, minimum of x and y of one element type."""
    x, y = call.operand("x"), call.operand("y")
    if x.dtype != y.dtype or x.dtype in ("bool", "string"):
        call.fail(f"x is {x} and y is {y}, expected numbers of one type")
    name = call.statement.op
    exact = name in ("maximum", "minimum") or x.dtype not in FLOATS
    return Kernel((TensorType(x.dtype, call.broadcast(x, y)),), _FUNCTIONS[name], exact)
