"""Quantised models: per-tensor int8 and uint8 stay Quantise and Dequantise ops, everything else is spelt out.

QLinear operators become the float op between Dequantise and Quantise, which is what they stand for.
"""

from __future__ import annotations

import numpy as np

from ...graph import Value
from ...ops.binary import Add, Div, Maximum, Minimum, Mul, Sub
from ...ops.compare import Equal, Where
from ...ops.quantise import Cast, Dequantise, Quantise
from ...ops.shape import Expand, Reshape
from ...ops.unary import Round
from ...types import Quant
from .conv import convolved
from .elementwise import as_dtype
from .entry import Entry, Known
from .importer import Call, imports
from .linear import product
from .tensors import dtype_name

MICROSOFT = "com.microsoft"


def _quant(scale: Entry, zero: Entry | None) -> Quant | None:
    """One known scale and zero point, or None for several or computed ones."""
    if not isinstance(scale, Known) or scale.array.size != 1 or scale.dtype != "float32":
        return None
    if zero is not None and (not isinstance(zero, Known) or zero.array.size != 1):
        return None
    factor = float(scale.array.reshape(-1)[0])
    return Quant(factor, int(zero.array.reshape(-1)[0]) if isinstance(zero, Known) else 0) if factor > 0 else None


def _along(n: Call, v: Entry, x: Entry, axis: int, block: int = 0) -> Entry:
    """A scale or zero point so shaped that it broadcasts against `x`: one, one a channel, or one a block."""
    if v.shape in ((), (1,)) and not block:
        return n(Reshape(()), v) if v.shape else v
    axis = n.axis(axis, len(x.shape))
    if block and len(v.shape) == len(x.shape):
        apart = (*v.shape[: axis + 1], 1, *v.shape[axis + 1 :])
        wide = (*v.shape[: axis + 1], block, *v.shape[axis + 1 :])
        whole = (*v.shape[:axis], v.shape[axis] * block, *v.shape[axis + 1 :])
        v = n(Reshape(whole), n(Expand(wide), n(Reshape(apart), v)))
        if whole != x.shape:
            raise n.refuse(f"blocks of {block} give scales for {list(whole)}, x is {list(x.shape)}")
        return v
    if len(v.shape) == 1 and v.shape[0] == x.shape[axis]:
        return n(Reshape(tuple(-1 if i == axis else 1 for i in range(len(x.shape)))), v)
    raise n.refuse(f"a scale of shape {list(v.shape)} for {list(x.shape)} along axis {axis}")


def quantised(
    n: Call, x: Entry, scale: Entry, zero: Entry | None, dtype: str, axis: int = 1, block: int = 0
) -> Entry:
    """clip(round(x / scale) + zero), halves to even."""
    if dtype not in ("int8", "uint8", "int16"):
        raise n.refuse(f"quantisation to {dtype} is not supported (int8, uint8, int16 are)")
    quant = _quant(scale, zero)
    if quant is not None and dtype != "int16" and x.dtype == "float32" and not isinstance(x, Known):
        return n(Quantise(quant, dtype, True), x)
    info = np.iinfo(dtype)
    x = x if x.dtype == scale.dtype else n(Cast(scale.dtype), x)
    steps = n(Round(), n(Div(), x, _along(n, scale, x, axis, block)))
    if zero is not None:
        steps = n(Add(), steps, _along(n, n(Cast(steps.dtype), zero), x, axis, block))
    low, high = n.scalar(info.min, steps), n.scalar(info.max, steps)
    return n(Cast(dtype), n(Minimum(), n(Maximum(), steps, low), high))


def dequantised(n: Call, x: Entry, scale: Entry, zero: Entry | None, axis: int = 1, block: int = 0) -> Entry:
    """scale * (x - zero)."""
    quant = _quant(scale, zero)
    if quant is not None and isinstance(x, Value) and x.type.quant == quant:
        return n(Dequantise(quant), x)
    wide = as_dtype(n, x, "int32") if zero is not None and x.dtype != "int32" else x
    if zero is not None:
        wide = n(Sub(), wide, _along(n, as_dtype(n, zero, "int32"), x, axis, block))
    reals = n(Mul(), as_dtype(n, wide, scale.dtype), _along(n, scale, x, axis, block))
    if isinstance(reals, Known):  # weights in disguise
        return Known(reals.array, x.name if isinstance(x, Known) else "", True)
    return reals


@imports("QuantizeLinear", domain=MICROSOFT)
@imports("QuantizeLinear")
def quantize_linear(n: Call) -> Entry:
    """The dtype is the zero point's, or an attribute's."""
    zero, code = n.get(2), n.integer("output_dtype", 0)
    dtype = zero.dtype if zero is not None else dtype_name(code) if code else "uint8"
    return quantised(n, n.x(0), n.x(1), zero, dtype, n.integer("axis", 1), n.integer("block_size", 0))


@imports("DequantizeLinear", domain=MICROSOFT)
@imports("DequantizeLinear")
def dequantize_linear(n: Call) -> Entry:
    """Of constants folded, per channel too."""
    reals = dequantised(n, n.x(0), n.x(1), n.get(2), n.integer("axis", 1), n.integer("block_size", 0))
    code = n.integer("output_dtype", 0)
    return as_dtype(n, reals, dtype_name(code)) if code else reals


@imports("DynamicQuantizeLinear")
def dynamic_quantize_linear(n: Call) -> tuple[Entry, ...]:
    """To uint8 by the range that the tensor has just now, zero included."""
    from ...ops.reduce import ReduceMax, ReduceMin
    from ...ops.unary import Clip

    x = n.x()
    zero = n.scalar(0, x)
    low, high = n(Minimum(), n(ReduceMin((), False), x), zero), n(Maximum(), n(ReduceMax((), False), x), zero)
    scale = n(Div(), n(Sub(), high, low), n.scalar(255, x))
    scale = n(Where(), n(Equal(), scale, zero), n.scalar(1, x), scale)
    point = n(Clip(0.0, 255.0), n(Round(), n(Div(), n(Sub(), zero, low), scale)))
    steps = n(Add(), n(Round(), n(Div(), x, scale)), point)
    return n(Cast("uint8"), n(Clip(0.0, 255.0), steps)), scale, n(Cast("uint8"), point)


# integers in, integers out


def _centred(n: Call, x: Entry, zero: Entry | None, dtype: str, column: bool = False) -> Entry:
    """x - zero as another dtype; a zero point a row of a matrix stands in a column."""
    wide = n(Cast(dtype), x)
    if zero is None:
        return wide
    point = n(Cast(dtype), zero)
    if len(zero.shape) == 1 and zero.shape[0] == 1:
        point = n(Reshape(()), point)
    elif len(zero.shape) == 1 and column:
        point = n(Reshape((-1, 1)), point)
    return n(Sub(), wide, point)


@imports("MatMulInteger")
def matmul_integer(n: Call) -> Entry:
    """Exact, in int32."""
    x, y = n.x(0), n.x(1)
    a = _centred(n, x, n.get(2), "int32", column=True)
    return product(n, a, _centred(n, y, n.get(3), "int32"))


@imports("ConvInteger")
def conv_integer(n: Call) -> Entry:
    """Exact: floats hold the sums of products of bytes whole."""
    x, w = n.x(0), n.x(1)
    largest = int(np.prod(w.shape[1:])) * 255 * 255
    dtype = "float32" if largest < 2**24 else "float64"
    zero = n.get(3)
    if zero is not None and len(zero.shape) == 1 and zero.shape[0] > 1:
        zero = n(Reshape((-1, *[1] * (len(w.shape) - 1))), zero)
    y = convolved(n, _centred(n, x, n.get(2), dtype), _centred(n, w, zero, dtype), None)
    return n(Cast("int32"), y)


@imports("QLinearConv")
def qlinear_conv(n: Call) -> Entry:
    """x, its scale and zero point, w and its, y's, and an int32 bias in steps of x's scale times w's."""
    x_scale, w_scale = n.x(1), n.x(4)
    x = dequantised(n, n.x(0), x_scale, n.get(2))
    w = dequantised(n, n.x(3), w_scale, n.get(5), axis=0)
    bias = n.get(8)
    if bias is not None:
        step = n(Mul(), n(Reshape((-1,)), x_scale), n(Reshape((-1,)), w_scale))
        reals = n(Mul(), n(Cast(step.dtype), bias), step)
        bias = Known(reals.array, bias.name, True) if isinstance(reals, Known) and isinstance(bias, Known) else reals
    y = convolved(n, x, w, bias)
    return quantised(n, y, n.x(6), n.get(7), _dtype(n.get(7)))


def _dtype(zero: Entry | None) -> str:
    return zero.dtype if zero is not None else "uint8"


@imports("QLinearMatMul")
def qlinear_matmul(n: Call) -> Entry:
    """Scales may belong to the rows of the first operand and to the columns of the second."""
    x, y = n.x(0), n.x(3)
    a = dequantised(n, x, n.x(1), n.get(2), axis=-2 if len(x.shape) > 1 else -1)
    b = dequantised(n, y, n.x(4), n.get(5), axis=-1)
    return quantised(n, product(n, a, b), n.x(6), n.get(7), _dtype(n.get(7)))
