"""Functions of one operand, element by element: roots, powers, exponentials, roundings, cast."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...mil.program import DTYPES, TensorType
from ..call import FLOATS, Call, Kernel
from ..registry import op

_EXACT: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "abs": np.abs,
    "ceil": np.ceil,
    "floor": np.floor,
    "neg": np.negative,
    "round": np.rint,
    "sign": np.sign,
}
_ROUNDED: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "square": np.square,
    "sqrt": np.sqrt,
}
_TABLES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "acos": np.arccos,
    "asin": np.arcsin,
    "atan": np.arctan,
    "atanh": np.arctanh,
    "cos": np.cos,
    "cosh": np.cosh,
    "exp": np.exp,
    "exp2": np.exp2,
    "sin": np.sin,
    "sinh": np.sinh,
    "tan": np.tan,
}


@op("identity")
def identity(call: Call) -> Kernel:
    """x itself, of any type."""
    return Kernel((call.operand("x"),), lambda x: x, exact=True)


@op(*_EXACT)
def exact(call: Call) -> Kernel:
    """abs, ceil, floor, neg, round (ties to even) and sign: their results are fp16 values whenever x is."""
    return Kernel((_number(call),), _EXACT[call.statement.op], exact=True)


@op(*_ROUNDED)
def rounded(call: Call) -> Kernel:
    """square and sqrt."""
    return Kernel((_number(call),), _ROUNDED[call.statement.op])


@op(*_TABLES)
def tables(call: Call) -> Kernel:
    """exp, exp2 and the trigonometric functions, in fp32 or by the engine's tables."""
    (x,) = call.floats("x")
    function, numerics = _TABLES[call.statement.op], call.numerics
    return Kernel((x,), lambda v: numerics.activation(function, v))


@op("rsqrt", "log", "inverse")
def with_epsilon(call: Call) -> Kernel:
    """1/sqrt(x + epsilon), log(x + epsilon) and 1/(x + epsilon); epsilon 1e-12, 1e-45, 1e-4 if not given."""
    (x,) = call.floats("x")
    name = call.statement.op
    epsilon = np.float32(call.const("epsilon", {"rsqrt": 1e-12, "log": 1e-45, "inverse": 1e-4}[name]))
    if name == "rsqrt":
        return Kernel((x,), lambda v: np.float32(1) / np.sqrt(v + epsilon))
    if name == "log":
        return Kernel((x,), lambda v: np.log(v + epsilon))
    return Kernel((x,), lambda v: np.float32(1) / (v + epsilon))


@op("clip")
def clip(call: Call) -> Kernel:
    """x held between the constants alpha and beta."""
    (x,) = call.floats("x")
    low, high = np.float32(call.const("alpha")), np.float32(call.const("beta"))
    return Kernel((x,), lambda v: np.clip(v, low, high))


@op("cast")
def cast(call: Call) -> Kernel:
    """x in another element type: towards zero for whole numbers, to nearest even for fp16, not 0 for bool."""
    x, name = call.operand("x"), str(call.const("dtype"))
    if name not in DTYPES or DTYPES[name] is None or DTYPES[x.dtype] is None:
        call.fail(f"no {x.dtype} can become {name!r}")
    held = np.dtype(np.float32) if name in FLOATS else DTYPES[name]
    widening = name == x.dtype or (name == "fp32" and x.dtype == "fp16")
    return Kernel((TensorType(name, x.shape),), lambda v: v.astype(held, copy=not widening), exact=widening)


def _number(call: Call) -> TensorType:
    x = call.operand("x")
    if x.dtype in ("bool", "string"):
        call.fail(f"x is {x}, expected numbers")
    return x
