"""Arithmetic of two operands, and functions of one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...op import Op
from ...ops.activation import Gelu, HardSwish, Relu6
from ...ops.binary import Add, Div, Maximum, Minimum, Mul, Pow, Sub
from ...ops.int8.elementwise import QAdd, QMul, QPrelu, QSub
from ...ops.unary import (
    Abs,
    Ceil,
    Clip,
    Cos,
    Exp,
    Floor,
    LeakyRelu,
    Log,
    Neg,
    Relu,
    Round,
    Rsqrt,
    Sigmoid,
    Sign,
    Sin,
    Sqrt,
    Tanh,
)  # fmt: skip
from ..importer import Import, imports
from ..model import Operator
from .common import fused, operands, same_rank
from .tables import lookup

_INTEGER = {"ADD": QAdd, "SUB": QSub, "MUL": QMul}
_FLOAT: dict[str, Op] = {
    "ADD": Add(), "SUB": Sub(), "MUL": Mul(), "DIV": Div(), "MAXIMUM": Maximum(), "MINIMUM": Minimum(), "POW": Pow(),
}  # fmt: skip


@imports("ADD", "SUB", "MUL", "DIV", "MAXIMUM", "MINIMUM", "POW", "SQUARED_DIFFERENCE")
def binary(imp: Import, op: Operator) -> None:
    """Broadcast operands; a fused activation behind the first four."""
    x, y = imp.tensor(op, 0), imp.tensor(op, 1)
    out = imp.result(op)
    if imp.integer(out):
        imp.need_int8(op, x, y)
        kind = _INTEGER.get(op.code)
        if kind is None:
            imp.refuse(op, "it has no integer form here")
        values = same_rank(imp, op, [imp.value(op, 0), imp.value(op, 1)])
        quant = imp.quant(op, out)
        q = kind(imp.quant(op, x), imp.quant(op, y), quant, **imp.clamp(op, quant))
        imp.put(op, imp.b(q, *values, name=imp.name(op)))
        return
    if any(t.quantised and t.dtype == "int16" for t in (x, y, out)):
        imp.refuse(op, "int16 activations are not supported: quantise to int8")
    values, first = operands(imp, op)
    if op.code == "SQUARED_DIFFERENCE":
        apart = imp.b(Sub(), *values, name=f"{imp.name(op)}.apart")
        made = imp.b(Mul(), apart, apart, name=imp.name(op))
    else:
        made = imp.b(_FLOAT[op.code], *values, name=imp.name(op))
    made = fused(imp, op, made)
    (imp.put_first if first else imp.put)(op, made)


@imports("PRELU")
def prelu(imp: Import, op: Operator) -> None:
    """x where positive, alpha * x elsewhere."""
    x, alpha, out = imp.tensor(op, 0), imp.tensor(op, 1), imp.result(op)
    if imp.integer(x):
        imp.need_int8(op, alpha, out)
        values = same_rank(imp, op, [imp.value(op, 0), imp.value(op, 1)])
        q = QPrelu(imp.quant(op, x), imp.quant(op, alpha), imp.quant(op, out))
        imp.put(op, imp.b(q, *values, name=imp.name(op)))
        return
    (value, slope), first = operands(imp, op)
    name = imp.name(op)
    below = imp.b(Minimum(), value, imp.b.constant(np.zeros((), np.float32)), name=f"{name}.below")
    made = imp.b(Add(), imp.b(Relu(), value), imp.b(Mul(), below, slope), name=name)
    (imp.put_first if first else imp.put)(op, made)


def _made(op: Operator) -> Op:
    if op.code == "LEAKY_RELU":
        return LeakyRelu(float(op.options["alpha"]))
    if op.code == "GELU":
        return Gelu(bool(op.options["approximate"]))
    return _UNARY[op.code]


_CLAMPS: dict[str, Op] = {
    "RELU": Relu(),
    "RELU6": Relu6(),
    "RELU_N1_TO_1": Clip(-1.0, 1.0),
    "RELU_0_TO_1": Clip(0.0, 1.0),
}
_UNARY: dict[str, Op] = {
    **_CLAMPS, "LOGISTIC": Sigmoid(), "TANH": Tanh(), "EXP": Exp(), "LOG": Log(), "SQRT": Sqrt(), "RSQRT": Rsqrt(),
    "ABS": Abs(), "NEG": Neg(), "SIN": Sin(), "COS": Cos(), "FLOOR": Floor(), "CEIL": Ceil(), "ROUND": Round(),
    "SIGN": Sign(), "HARD_SWISH": HardSwish(),
}  # fmt: skip


@imports(*_UNARY, "LEAKY_RELU", "GELU", "SQUARE", "ELU")
def unary(imp: Import, op: Operator) -> None:
    """The integer form is a table of all 256 results."""
    x, out = imp.tensor(op, 0), imp.result(op)
    name = imp.name(op)
    if imp.integer(x):
        imp.need_int8(op, out)
        lookup(imp, op)
        return
    if x.quantised and x.dtype == "int16":
        imp.refuse(op, "int16 activations are not supported: quantise to int8")
    first = imp.is_first(op, 0)
    value = imp.first(op, 0) if first else imp.value(op, 0)
    put: Callable[..., None] = imp.put_first if first else imp.put
    if op.code == "SQUARE":
        put(op, imp.b(Mul(), value, value, name=name))
    elif op.code == "ELU":
        zero = imp.b.constant(np.zeros((), np.float32))
        grown = imp.b(Exp(), imp.b(Minimum(), value, zero, name=f"{name}.below"), name=f"{name}.exp")
        below = imp.b(Sub(), grown, imp.b.constant(np.ones((), np.float32)), name=f"{name}.minus")
        put(op, imp.b(Add(), imp.b(Relu(), value, name=f"{name}.above"), below, name=name))
    else:
        put(op, imp.b(_made(op), value, name=name))
