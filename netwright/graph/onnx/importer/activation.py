"""Activations: those of ours that ONNX has too, the others by their formulas."""

from __future__ import annotations

import numpy as np

from ...ops.activation import Gelu, HardSwish
from ...ops.binary import Add, Div, Minimum, Mul, Sub
from ...ops.compare import Equal, Greater, Less, Where
from ...ops.quantise import Cast
from ...ops.reduce import ArgMax
from ...ops.shape import Reshape
from ...ops.softmax import LogSoftmax, Softmax
from ...ops.unary import (
    Abs,
    Exp,
    HardSigmoid,
    LeakyRelu,
    LogicalNot,
    Neg,
    Relu,
    Sigmoid,
    Softplus,
    Tanh,
)  # fmt: skip
from ...types import FLOATS
from .entry import Entry
from .importer import Call, imports

_SAME = {"Sigmoid": Sigmoid, "Tanh": Tanh, "Softplus": Softplus, "HardSwish": HardSwish}


@imports(*_SAME)
def same(n: Call) -> Entry:
    """The same op."""
    return n(_SAME[n.op_type](), n.x())  # type: ignore[abstract]


@imports("LeakyRelu")
def leaky_relu(n: Call) -> Entry:
    """The slope is an attribute."""
    return n(LeakyRelu(n.real("alpha", 0.01)), n.x())


@imports("HardSigmoid")
def hard_sigmoid(n: Call) -> Entry:
    """Slope and offset are attributes."""
    return n(HardSigmoid(n.real("alpha", 0.2), n.real("beta", 0.5)), n.x())


@imports("PRelu")
def prelu(n: Call) -> Entry:
    """x where positive, slope * x elsewhere; before opset 7 a slope of rank 1 belongs to the channels."""
    x, slope = n.x(), n.x(1)
    if n.opset < 7 and len(slope.shape) == 1 and slope.shape[0] > 1:
        slope = n(Reshape((-1, *[1] * (len(x.shape) - 2))), slope)
    zero = n.scalar(0, x)
    if x.dtype not in FLOATS:
        return n(Where(), n(Less(), x, zero), n(Mul(), x, slope), x)
    return n(Add(), n(Relu(), x), n(Mul(), slope, n(Minimum(), x, zero)))


def elu_of(n: Call, x: Entry, alpha: float) -> Entry:
    """x where positive, alpha * (e^x - 1) elsewhere."""
    below = n(Sub(), n(Exp(), n(Minimum(), x, n.scalar(0, x))), n.scalar(1, x))
    return n(Add(), n(Relu(), x), n(Mul(), n.scalar(alpha, x), below))


@imports("Elu")
def elu(n: Call) -> Entry:
    """Clevert et al. 2016, eq. 15."""
    return elu_of(n, n.x(), n.real("alpha", 1.0))


@imports("Selu")
def selu(n: Call) -> Entry:
    """gamma * elu(x) (Klambauer et al. 2017, eq. 2)."""
    x = n.x()
    y = elu_of(n, x, n.real("alpha", 1.67326319217681884765625))
    return n(Mul(), n.scalar(n.real("gamma", 1.05070102214813232421875), x), y)


@imports("Celu")
def celu(n: Call) -> Entry:
    """max(0, x) + min(0, alpha * (e^(x / alpha) - 1)) (Barron 2017)."""
    x, alpha = n.x(), n.real("alpha", 1.0)
    below = n(Div(), n(Minimum(), x, n.scalar(0, x)), n.scalar(alpha, x))
    fall = n(Mul(), n.scalar(alpha, x), n(Sub(), n(Exp(), below), n.scalar(1, x)))
    return n(Add(), n(Relu(), x), fall)


@imports("ThresholdedRelu")
def thresholded_relu(n: Call) -> Entry:
    """x above alpha, else 0."""
    x = n.x()
    return n(Where(), n(Greater(), x, n.scalar(n.real("alpha", 1.0), x)), x, n.scalar(0, x))


@imports("Shrink")
def shrink(n: Call) -> Entry:
    """x moved by `bias` towards 0 outside of -lambd .. lambd, 0 inside."""
    x = n.x()
    limit, bias, zero = n.real("lambd", 0.5), n.real("bias", 0.0), n.scalar(0, x)
    high = n(Where(), n(Greater(), x, n.scalar(limit, x)), n(Sub(), x, n.scalar(bias, x)), zero)
    return n(Where(), n(Less(), x, n.scalar(-limit, x)), n(Add(), x, n.scalar(bias, x)), high)


@imports("Mish")
def mish(n: Call) -> Entry:
    """x * tanh(softplus(x))."""
    return n(Mul(), n.x(), n(Tanh(), n(Softplus(), n.x())))


@imports("Softsign")
def softsign(n: Call) -> Entry:
    """x / (1 + |x|)."""
    x = n.x()
    return n(Div(), x, n(Add(), n.scalar(1, x), n(Abs(), x)))


@imports("Gelu")
def gelu(n: Call) -> Entry:
    """The same op."""
    return n(Gelu(n.text("approximate", "none") == "tanh"), n.x())


@imports("Swish")
def swish(n: Call) -> Entry:
    """x * sigmoid(alpha * x)."""
    x, alpha = n.x(), n.real("alpha", 1.0)
    steep = x if alpha == 1 else n(Mul(), x, n.scalar(alpha, x))
    return n(Mul(), x, n(Sigmoid(), steep))


@imports("Softmax", "LogSoftmax", "Hardmax")
def softmax(n: Call) -> Entry:
    """Along one axis; before opset 13 over all axes from `axis` on, taken as one."""
    x = n.x()
    rank = len(x.shape)
    if n.opset >= 13:
        return _along(n, x, n.axis(n.integer("axis", -1), rank))
    axis = n.integer("axis", 1)
    axis = axis + rank if axis < 0 else axis
    if axis == rank - 1:
        return _along(n, x, axis)
    if not 0 <= axis <= rank:
        raise n.refuse(f"axis {axis} of a tensor with {rank} dimensions")
    lead = (0,) * axis
    flat = n(Reshape((*lead, int(np.prod(x.shape[axis:])))), x)
    return n(Reshape((*lead, *x.shape[axis:])), _along(n, flat, axis))


def _along(n: Call, x: Entry, axis: int) -> Entry:
    if n.op_type == "Softmax":
        return n(Softmax(axis if axis < len(x.shape) - 1 else -1), x)
    if n.op_type == "LogSoftmax":
        return n(LogSoftmax(axis if axis < len(x.shape) - 1 else -1), x)
    best = n(ArgMax(axis, True), x)
    places = n.arange(x.shape[axis]).reshape([-1 if i == axis else 1 for i in range(len(x.shape))])
    return n(Cast(x.dtype), n(Equal(), best, n.known(places)))


@imports("IsNaN")
def is_nan(n: Call) -> Entry:
    """The only number that differs from itself."""
    return n(LogicalNot(), n(Equal(), n.x(), n.x()))


@imports("IsInf")
def is_inf(n: Call) -> Entry:
    """Of either sign, or of one."""
    x = n.x()
    above, below = n.integer("detect_positive", 1), n.integer("detect_negative", 1)
    if above and below:
        x = n(Abs(), x)
    elif below:
        x = n(Neg(), x)
    found = n(Equal(), x, n.scalar(np.inf, x))
    return found if above or below else n(LogicalNot(), n(Equal(), found, found))
