"""Comparisons, logic, and choosing by a condition."""

from __future__ import annotations

import math
from typing import Any

from ...graph import Value
from ...op import Op
from ...ops import compare, unary
from ...ops.common import scalar
from .importer import Import, imports

_COMPARE: dict[str, type[Op]] = {
    "eq": compare.Equal, "lt": compare.Less, "le": compare.LessEqual, "gt": compare.Greater, "ge": compare.GreaterEqual,
    "less": compare.Less, "less_equal": compare.LessEqual, "greater": compare.Greater,
    "greater_equal": compare.GreaterEqual,
}  # fmt: skip
_LOGIC: dict[str, type[Op]] = {
    "logical_and": compare.And, "bitwise_and": compare.And, "__and__": compare.And,
    "logical_or": compare.Or, "bitwise_or": compare.Or, "__or__": compare.Or,
}  # fmt: skip


@imports(*_COMPARE)
def comparison(im: Import, a: Any) -> Value:
    """Of one dtype, the one torch promotes to."""
    return im.b(_COMPARE[im.op](), *im.operands(a.self, a.other))


@imports("ne", "not_equal")
def unequal(im: Import, a: Any) -> Value:
    """Not equal."""
    return im.b(unary.LogicalNot(), im.b(compare.Equal(), *im.operands(a.self, a.other)))


@imports("isnan", "isinf")
def special(im: Import, a: Any) -> Value:
    """NaN is what does not equal itself."""
    x = im.value(a.self)
    if im.op == "isnan":
        return im.b(unary.LogicalNot(), im.b(compare.Equal(), x, x))
    x = im.b(unary.Abs(), im.value(x, "float32"))
    return im.b(compare.Equal(), x, scalar(im.b, math.inf, x))


def _truth(im: Import, x: Any) -> Value:
    """A condition: bool, or not zero."""
    value = im.value(x)
    if value.dtype != "bool" and im.op.startswith(("bitwise", "__")):
        im.refuse(f"bits of {value.dtype}", "only bool masks can be combined this way")
    return im.value(value, "bool")


@imports(*_LOGIC)
def logic(im: Import, a: Any) -> Value:
    """Of booleans; numbers count as true where they are not zero."""
    return im.b(_LOGIC[im.op](), _truth(im, a.self), _truth(im, a.other))


@imports("logical_not", "bitwise_not")
def negation(im: Import, a: Any) -> Value:
    """Not."""
    return im.b(unary.LogicalNot(), _truth(im, a.self))


@imports("logical_xor", "bitwise_xor", "__xor__")
def exclusive(im: Import, a: Any) -> Value:
    """One of the two: they differ."""
    same = im.b(compare.Equal(), _truth(im, a.self), _truth(im, a.other))
    return im.b(unary.LogicalNot(), same)


@imports("where")
def where(im: Import, a: Any) -> Value:
    """x where the condition holds, else y."""
    if getattr(a, "self", None) is None:
        im.refuse("positions of true elements", "their number depends on data; use a mask")
    left, right = im.operands(a.self, a.other)
    return im.b(compare.Where(), im.value(a.condition, "bool"), im.value(left, im.dtype), im.value(right, im.dtype))


@imports("masked_fill")
def masked_fill(im: Import, a: Any) -> Value:
    """The value where the mask holds, x elsewhere."""
    return im.b(compare.Where(), im.value(a.mask, "bool"), im.value(a.value, im.dtype), im.value(a.self))
