"""Circular and hyperbolic functions and their inverses, by formulas that stay accurate near their edges."""

from __future__ import annotations

import math

from ...ops.arithmetic import Atan
from ...ops.binary import Add, Div, Mul, Sub
from ...ops.unary import Abs, Cos, Exp, Log, Neg, Sign, Sin, Sqrt, Tanh
from .entry import Entry
from .importer import Call, imports

_SAME = {"Sin": Sin, "Cos": Cos, "Atan": Atan}


@imports(*_SAME)
def same(n: Call) -> Entry:
    """The same op."""
    return n(_SAME[n.op_type](), n.x())


@imports("Tan")
def tan(n: Call) -> Entry:
    """sin / cos."""
    return n(Div(), n(Sin(), n.x()), n(Cos(), n.x()))


@imports("Asin")
def asin(n: Call) -> Entry:
    """atan(x / sqrt((1 - x)(1 + x)))."""
    return n(Atan(), n(Div(), n.x(), _root(n, n.x())))


@imports("Acos")
def acos(n: Call) -> Entry:
    """pi / 2 - asin(x)."""
    x = n.x()
    return n(Sub(), n.scalar(math.pi / 2, x), n(Atan(), n(Div(), x, _root(n, x))))


def _root(n: Call, x: Entry) -> Entry:
    one = n.scalar(1, x)
    return n(Sqrt(), n(Mul(), n(Sub(), one, x), n(Add(), one, x)))


@imports("Cosh", "Sinh")
def hyperbolic(n: Call) -> Entry:
    """(e^x + e^-x) / 2; its product with tanh(x) is sinh(x), without cancellation near 0."""
    x = n.x()
    cosh = n(Mul(), n(Add(), n(Exp(), x), n(Exp(), n(Neg(), x))), n.scalar(0.5, x))
    return cosh if n.op_type == "Cosh" else n(Mul(), n(Tanh(), x), cosh)


@imports("Asinh")
def asinh(n: Call) -> Entry:
    """sign(x) * log(|x| + sqrt(x^2 + 1))."""
    x = n.x()
    size = n(Abs(), x)
    root = n(Sqrt(), n(Add(), n(Mul(), x, x), n.scalar(1, x)))
    return n(Mul(), n(Sign(), x), n(Log(), n(Add(), size, root)))


@imports("Acosh")
def acosh(n: Call) -> Entry:
    """log(x + sqrt((x - 1)(x + 1)))."""
    x, one = n.x(), n.scalar(1, n.x())
    return n(Log(), n(Add(), x, n(Sqrt(), n(Mul(), n(Sub(), x, one), n(Add(), x, one)))))


@imports("Atanh")
def atanh(n: Call) -> Entry:
    """log((1 + x) / (1 - x)) / 2."""
    x, one = n.x(), n.scalar(1, n.x())
    ratio = n(Div(), n(Add(), one, x), n(Sub(), one, x))
    return n(Mul(), n(Log(), ratio), n.scalar(0.5, x))
