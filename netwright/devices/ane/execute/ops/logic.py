"""Comparisons, logic, selection."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...mil.program import TensorType
from ..call import Call, Kernel
from ..registry import op

_COMPARE: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "equal": np.equal,
    "not_equal": np.not_equal,
    "greater": np.greater,
    "greater_equal": np.greater_equal,
    "less": np.less,
    "less_equal": np.less_equal,
}
_LOGIC: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "logical_and": np.logical_and,
    "logical_or": np.logical_or,
    "logical_xor": np.logical_xor,
}


@op(*_COMPARE, *_LOGIC)
def compare(call: Call) -> Kernel:
    """equal, greater, less, ... of numbers and logical_and, _or, _xor of booleans, broadcast; bool."""
    x, y = call.operand("x"), call.operand("y")
    name = call.statement.op
    if x.dtype != y.dtype or x.dtype == "string" or (name in _LOGIC and x.dtype != "bool"):
        call.fail(f"x is {x} and y is {y}, expected one type{' (bool)' if name in _LOGIC else ''}")
    return Kernel((TensorType("bool", call.broadcast(x, y)),), (_COMPARE | _LOGIC)[name], exact=True)


@op("logical_not")
def logical_not(call: Call) -> Kernel:
    """not x"""
    x = call.operand("x")
    if x.dtype != "bool":
        call.fail(f"x is {x}, expected bool")
    return Kernel((x,), np.logical_not, exact=True)


@op("select")
def select(call: Call) -> Kernel:
    """a where `cond` holds, else b, broadcast."""
    condition, a, b = (call.operand(name) for name in ("cond", "a", "b"))
    if condition.dtype != "bool" or a.dtype != b.dtype:
        call.fail(f"cond is {condition}, a is {a}, b is {b}: expected bool, and a and b of one type")
    return Kernel((TensorType(a.dtype, call.broadcast(condition, a, b)),), np.where, exact=True)
