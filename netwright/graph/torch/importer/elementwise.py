"""Arithmetic element by element: dtype promotion and broadcasting are torch's."""

from __future__ import annotations

import math
from typing import Any

from ...graph import Value
from ...op import Op
from ...ops import activation, binary, compare, unary
from ...ops.common import scalar
from .importer import Import, imports

_UNARY: dict[str, type[Op]] = {
    "neg": unary.Neg, "abs": unary.Abs, "sign": unary.Sign, "floor": unary.Floor, "ceil": unary.Ceil,
    "round": unary.Round, "exp": unary.Exp, "log": unary.Log, "sqrt": unary.Sqrt, "rsqrt": unary.Rsqrt,
    "reciprocal": unary.Reciprocal, "sin": unary.Sin, "cos": unary.Cos, "tanh": unary.Tanh, "sigmoid": unary.Sigmoid,
    "erf": unary.Erf, "special_erf": unary.Erf, "relu": unary.Relu,
}  # fmt: skip
_WHOLE = ("sign", "abs", "relu", "floor", "ceil", "round")  # leave integers integers, where ours need floats


@imports(*_UNARY)
def same(im: Import, a: Any) -> Value:
    """One op of ours; integers become floats where torch makes them so."""
    op = _UNARY[im.op]()
    if im.op == "round" and getattr(a, "decimals", None):
        im.refuse("rounding to decimals", "scale, round and scale back")
    x = im.value(a.self, im.dtype)
    if im.op in _WHOLE and not im.dtype.startswith("float"):
        if im.op in ("floor", "ceil", "round"):
            return x
        if im.op == "relu":
            return im.b(binary.Maximum(), x, scalar(im.b, 0, x))
        if im.op == "abs":
            return im.b(binary.Maximum(), x, im.b(unary.Neg(), x))
        im.refuse(f"the sign of {im.dtype}", "cast to float32 first")
    return im.b(op, x)


@imports("expm1", "special_expm1")
def expm1(im: Import, a: Any) -> Value:
    """e^x - 1."""
    x = im.b(unary.Exp(), im.value(a.self, im.dtype))
    return im.b(binary.Sub(), x, scalar(im.b, 1.0, x))


@imports("log1p", "special_log1p")
def log1p(im: Import, a: Any) -> Value:
    """log(1 + x)."""
    x = im.value(a.self, im.dtype)
    return im.b(unary.Log(), im.b(binary.Add(), x, scalar(im.b, 1.0, x)))


@imports("log2", "log10")
def log(im: Import, a: Any) -> Value:
    """A natural logarithm, scaled."""
    y = im.b(unary.Log(), im.value(a.self, im.dtype))
    return im.b(binary.Mul(), y, scalar(im.b, 1 / math.log(2 if im.op == "log2" else 10), y))


@imports("exp2", "special_exp2")
def exp2(im: Import, a: Any) -> Value:
    """e^(x log 2)."""
    x = im.value(a.self, im.dtype)
    return im.b(unary.Exp(), im.b(binary.Mul(), x, scalar(im.b, math.log(2), x)))


@imports("square")
def square(im: Import, a: Any) -> Value:
    """x * x."""
    x = im.value(a.self, im.dtype)
    return im.b(binary.Mul(), x, x)


@imports("add", "sub", "subtract", "rsub")
def add(im: Import, a: Any) -> Value:
    """x + alpha * y or x - alpha * y; `rsub` has them the other way round."""
    left, right = im.operands(a.self, a.other)
    left, right = im.value(left, im.dtype), im.value(right, im.dtype)
    first, second = (right, left) if im.op == "rsub" else (left, right)
    alpha = getattr(a, "alpha", 1)
    if alpha != 1:
        if im.op == "rsub":
            im.refuse("rsub with alpha", "write the product out")
        second = im.b(binary.Mul(), second, scalar(im.b, alpha, second))
    if im.dtype == "bool":
        return im.b(compare.Or(), first, second)
    return im.b(binary.Add() if im.op == "add" else binary.Sub(), first, second)


@imports("mul", "multiply")
def mul(im: Import, a: Any) -> Value:
    """x * y."""
    left, right = im.operands(a.self, a.other)
    return im.b(compare.And() if im.dtype == "bool" else binary.Mul(), left, right)


@imports("div", "true_divide", "divide", "floor_divide")
def div(im: Import, a: Any) -> Value:
    """x / y, or its floor or its integer part."""
    mode = "floor" if im.op == "floor_divide" else getattr(a, "rounding_mode", None)
    left, right = (im.value(v, im.dtype) for v in im.operands(a.self, a.other))
    y = im.b(binary.Div(), left, right)
    if mode is None:
        return y
    if not im.dtype.startswith("float"):
        return y if mode == "trunc" else _floored(im, left, right, y)
    return im.b(unary.Floor(), y) if mode == "floor" else _whole_part(im, y)


def _whole_part(im: Import, x: Value) -> Value:
    """Without the fraction, whatever the sign."""
    return im.b(binary.Mul(), im.b(unary.Sign(), x), im.b(unary.Floor(), im.b(unary.Abs(), x)))


@imports("trunc", "fix")
def trunc(im: Import, a: Any) -> Value:
    """Rounded towards zero."""
    x = im.value(a.self)
    return _whole_part(im, x) if im.dtype.startswith("float") else x


def _floored(im: Import, x: Value, y: Value, quotient: Value) -> Value:
    """Integers divide towards zero here: one less where the remainder's sign is not the divisor's."""
    b, zero, one = im.b, scalar(im.b, 0, x), scalar(im.b, 1, x)
    rest = b(binary.Sub(), x, b(binary.Mul(), quotient, y))
    opposite = b(compare.Less(), b(binary.Mul(), rest, y), zero)  # 0 where nothing is left
    return b(binary.Sub(), quotient, b(compare.Where(), opposite, one, zero))


@imports("hypot")
def hypot(im: Import, a: Any) -> Value:
    """sqrt(x^2 + y^2)."""
    x, y = (im.b(binary.Mul(), v, v) for v in im.operands(a.self, a.other))
    return im.b(unary.Sqrt(), im.b(binary.Add(), x, y))


@imports("remainder", "fmod")
def remainder(im: Import, a: Any) -> Value:
    """Python's %, with the sign of the divisor; `fmod` has the sign of the dividend."""
    left, right = im.operands(a.self, a.other)
    quotient = im.b(binary.Div(), left, right)
    if im.dtype.startswith("float"):
        quotient = im.b(unary.Floor(), quotient) if im.op == "remainder" else _whole_part(im, quotient)
    elif im.op == "remainder":
        quotient = _floored(im, left, right, quotient)
    return im.b(binary.Sub(), left, im.b(binary.Mul(), quotient, right))


@imports("pow")
def power(im: Import, a: Any) -> Value:
    """Small whole powers and roots are products and roots."""
    if not isinstance(a.exponent, (int, float)):
        return im.b(binary.Pow(), *im.operands(a.self, a.exponent))
    x = im.value(a.self, im.dtype)
    if a.exponent == 1:
        return x
    if a.exponent in (2, 3):
        squared = im.b(binary.Mul(), x, x)
        return squared if a.exponent == 2 else im.b(binary.Mul(), squared, x)
    roots = {0.5: unary.Sqrt, -0.5: unary.Rsqrt, -1: unary.Reciprocal}
    if a.exponent in roots:
        return im.b(roots[a.exponent](), x)
    return im.b(binary.Pow(), x, scalar(im.b, a.exponent, x))


@imports("maximum", "minimum", "fmax", "fmin")
def extreme(im: Import, a: Any) -> Value:
    """The larger or the smaller."""
    op = binary.Maximum() if "max" in im.op else binary.Minimum()
    return im.b(op, *im.operands(a.self, a.other))


@imports("clamp", "clip", "clamp_min", "clamp_max", "hardtanh", "relu6")
def clamp(im: Import, a: Any) -> Value:
    """min(max(x, low), high) with numbers or tensors."""
    x = im.value(a.self, im.dtype)
    low = getattr(a, "min", getattr(a, "min_val", None))
    high = getattr(a, "max", getattr(a, "max_val", None))
    if im.op == "relu6" or (low, high) == (0, 6):
        return im.b(activation.Relu6(), x) if im.dtype.startswith("float") else im.b(unary.Clip(0.0, 6.0), x)
    if all(bound is None or isinstance(bound, (int, float)) for bound in (low, high)):
        bottom, top = (-math.inf if low is None else float(low)), (math.inf if high is None else float(high))
        if bottom > top:  # torch gives the upper bound then
            bottom = top
        return im.b(unary.Clip(bottom, top), x)
    for op, bound in ((binary.Maximum(), low), (binary.Minimum(), high)):
        x = im.b(op, x, im.value(bound, im.dtype)) if bound is not None else x
    return x
