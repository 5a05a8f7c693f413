"""Activation functions that are more than one elementary op, or composites of ours."""

from __future__ import annotations

from typing import Any

from ...graph import Value
from ...ops import activation, binary, compare, unary
from ...ops.common import scalar
from ...ops.shape import Split
from ...ops.softmax import LogSoftmax, Softmax
from .importer import Import, imports


@imports("gelu")
def gelu(im: Import, a: Any) -> Value:
    """Exact or in the tanh form."""
    return im.b(activation.Gelu(a.approximate == "tanh"), im.value(a.self))


@imports("silu")
def silu(im: Import, a: Any) -> Value:
    """x sigmoid(x)."""
    return im.b(activation.Silu(), im.value(a.self))


@imports("hardswish")
def hardswish(im: Import, a: Any) -> Value:
    """x hard_sigmoid(x)."""
    return im.b(activation.HardSwish(), im.value(a.self))


@imports("hardsigmoid")
def hardsigmoid(im: Import, a: Any) -> Value:
    """clip(x / 6 + 1/2, 0, 1)."""
    return im.b(unary.HardSigmoid(), im.value(a.self))


@imports("leaky_relu")
def leaky_relu(im: Import, a: Any) -> Value:
    """The slope is an attribute."""
    return im.b(unary.LeakyRelu(float(a.negative_slope)), im.value(a.self))


@imports("prelu", "_prelu_kernel")
def prelu(im: Import, a: Any) -> Value:
    """x where positive, w x elsewhere; one w a channel (dimension 1)."""
    x, w = im.value(a.self), im.value(a.weight)
    if im.op == "prelu" and w.type.size > 1:
        w = im.reshape(w, (-1, *[1] * (len(x.shape) - 2)))
    positive = im.b(compare.Greater(), x, scalar(im.b, 0.0, x))
    return im.b(compare.Where(), positive, x, im.b(binary.Mul(), x, w))


@imports("rrelu", "rrelu_with_noise", "rrelu_with_noise_functional")
def rrelu(im: Import, a: Any) -> Any:
    """Evaluation's slope is the mean of the two bounds."""
    if a.training:
        im.refuse("random slopes", "pass training=self.training")
    y = im.b(unary.LeakyRelu((a.lower + a.upper) / 2), im.value(a.self))
    return (y, None) if im.op.endswith("functional") else y


@imports("elu")
def elu(im: Import, a: Any) -> Value:
    """scale x where positive, scale alpha (e^(input_scale x) - 1) elsewhere; the exponential never sees x > 0."""
    b, x = im.b, im.value(a.self)
    zero, one = scalar(b, 0.0, x), scalar(b, 1.0, x)
    low = b(binary.Minimum(), x, zero)
    if a.input_scale != 1:
        low = b(binary.Mul(), low, scalar(b, a.input_scale, x))
    curve = b(binary.Sub(), b(unary.Exp(), low), one)
    curve = b(binary.Mul(), curve, scalar(b, a.alpha * a.scale, x)) if a.alpha * a.scale != 1 else curve
    high = b(binary.Mul(), x, scalar(b, a.scale, x)) if a.scale != 1 else x
    return b(compare.Where(), b(compare.Greater(), x, zero), high, curve)


@imports("softplus")
def softplus(im: Import, a: Any) -> Value:
    """log(1 + e^(beta x)) / beta; beyond torch's threshold that is x to float32's last digit."""
    b, x = im.b, im.value(a.self)
    if a.threshold < 15:
        im.refuse(f"softplus with threshold {a.threshold}", "leave it at 20")
    if a.beta == 1:
        return b(unary.Softplus(), x)
    y = b(unary.Softplus(), b(binary.Mul(), x, scalar(b, a.beta, x)))
    return b(binary.Mul(), y, scalar(b, 1 / a.beta, x))


@imports("mish")
def mish(im: Import, a: Any) -> Value:
    """x tanh(softplus(x))."""
    x = im.value(a.self)
    return im.b(binary.Mul(), x, im.b(unary.Tanh(), im.b(unary.Softplus(), x)))


@imports("log_sigmoid")
def log_sigmoid(im: Import, a: Any) -> Value:
    """-softplus(-x)."""
    return im.b(unary.Neg(), im.b(unary.Softplus(), im.b(unary.Neg(), im.value(a.self))))


@imports("glu")
def glu(im: Import, a: Any) -> Value:
    """The first half times the sigmoid of the second."""
    x = im.value(a.self)
    half = x.shape[a.dim] // 2
    halves: Any = im.b(Split(a.dim % len(x.shape), (half, half)), x)
    return im.b(binary.Mul(), halves[0], im.b(unary.Sigmoid(), halves[1]))


@imports("softmax", "_softmax", "_safe_softmax", "log_softmax", "_log_softmax")
def softmax(im: Import, a: Any) -> Value:
    """Softmax or its logarithm."""
    op = LogSoftmax(a.dim) if "log" in im.op else Softmax(a.dim)
    return im.b(op, im.value(a.self, im.dtype))
