"""Remainders, and bits by arithmetic: a bit is what is left of a number below the next power of two."""

from __future__ import annotations

import numpy as np

from ...ops.arithmetic import Mod
from ...ops.binary import Add, Div, Mul, Sub
from ...ops.compare import And, Equal, GreaterEqual, Less, Or, Where
from ...ops.index import Gather
from ...ops.quantise import Cast
from ...ops.unary import Abs, LogicalNot, Sign
from ...types import FLOATS
from .entry import Entry
from .importer import Call, imports


@imports("Mod")
def mod(n: Call) -> Entry:
    """The same op; of floats the remainder with y's sign is made from the one with x's."""
    x, y, fmod = n.x(0), n.x(1), bool(n.integer("fmod", 0))
    if x.dtype not in FLOATS or fmod:
        return n(Mod(fmod), x, y)
    if n.opset < 28:
        raise n.refuse("the remainder of floats is defined with fmod=1 only")
    rest, zero = n(Mod(True), x, y), n.scalar(0, x)
    apart = n(Less(), n(Mul(), n(Sign(), rest), n(Sign(), y)), zero)
    signed = n(Mul(), n(Abs(), rest), n(Sign(), y))  # a zero takes y's sign too
    return n(Where(), apart, n(Add(), rest, y), signed)


@imports("BitwiseNot")
def bitwise_not(n: Call) -> Entry:
    """-1 - x, or the largest number less x."""
    x = n.x()
    return n(Sub(), n.scalar(-1 if x.dtype.startswith("int") else np.iinfo(x.dtype).max, x), x)


@imports("BitwiseAnd", "BitwiseOr", "BitwiseXor")
def bitwise(n: Call) -> Entry:
    """Bit by bit."""
    x, y = n.x(0), n.x(1)
    total: Entry | None = None
    for weight, a, b in zip(_weights(x.dtype), _bits(n, x), _bits(n, y)):
        if n.op_type == "BitwiseXor":
            bit = n(LogicalNot(), n(Equal(), a, b))
        else:
            bit = n(And() if n.op_type == "BitwiseAnd" else Or(), a, b)
        part = n(Mul(), n(Cast(x.dtype), bit), n.scalar(weight, x))
        total = part if total is None else n(Add(), total, part)
    assert total is not None
    return total


def _weights(dtype: str) -> list[int]:
    info = np.iinfo(dtype)
    weights = [1 << k for k in range(info.bits)]
    if info.min < 0:
        weights[-1] = int(info.min)
    return weights


def _bits(n: Call, x: Entry) -> list[Entry]:
    """Booleans, the lowest bit first."""
    info = np.iinfo(x.dtype)
    found = []
    for k in range(info.bits - 1):
        below = n(Mod(), x, n.scalar(1 << (k + 1), x)) if k + 1 < info.bits - (info.min < 0) else _magnitude(n, x)
        found.append(n(GreaterEqual(), below, n.scalar(1 << k, x)))
    top = n.scalar(0, x) if info.min < 0 else n.scalar(1 << (info.bits - 1), x)
    found.append(n(Less(), x, top) if info.min < 0 else n(GreaterEqual(), x, top))
    return found


def _magnitude(n: Call, x: Entry) -> Entry:
    """A signed number without its sign bit."""
    lowest = n.scalar(np.iinfo(x.dtype).min, x)
    return n(Where(), n(Less(), x, n.scalar(0, x)), n(Sub(), x, lowest), x)


@imports("BitShift")
def shift(n: Call) -> Entry:
    """Times or over a power of two; a negative number goes right as the complement of its complement."""
    x, by = n.x(0), n.x(1)
    info = np.iinfo(x.dtype)
    bits = info.bits - (info.min < 0)  # that a power can be positive in
    left = n.text("direction", "LEFT") == "LEFT"
    powers = np.array(_weights(x.dtype)[: None if left else bits], x.dtype)
    zero, minus = n.scalar(0, x), n.scalar(-1 if info.min < 0 else 0, x)
    within = n(And(), n(Less(), by, n.scalar(len(powers), by)), n(GreaterEqual(), by, n.scalar(0, by)))
    safe = n(Cast("int32"), n(Where(), within, by, n.scalar(0, by)))
    power = n(Gather(0), n.known(powers), safe)
    if left or info.min == 0:
        return n(Where(), within, n(Mul() if left else Div(), x, power), zero)
    negative = n(Less(), x, zero)
    size = n(Where(), negative, n(Sub(), minus, x), x)
    moved = n(Where(), within, n(Div(), size, power), zero)
    return n(Where(), negative, n(Sub(), minus, moved), moved)
