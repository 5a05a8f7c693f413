"""Normalisations."""

from __future__ import annotations

import math

import numpy as np

from ...ops.binary import Add, Div, Mul, Pow, Sub
from ...ops.norm import BatchNorm, GroupNorm, LayerNorm
from ...ops.pool import AveragePool
from ...ops.quantise import Cast
from ...ops.reduce import ReduceMean, ReduceSum
from ...ops.shape import Expand, Reshape
from ...ops.unary import Abs, Reciprocal, Rsqrt, Sqrt
from .entry import Entry, Known
from .importer import Call, imports


@imports("BatchNormalization")
def batch_norm(n: Call) -> Entry | tuple[Entry, ...]:
    """By stored statistics, which training moves by its own rule and not by gradients."""
    x, scale, bias, mean, variance = (n.x(i) for i in range(5))
    epsilon = n.real("epsilon", 1e-5)
    if n.opset < 9 and not n.integer("spatial", 1):
        raise n.refuse("it normalises each position by itself (spatial=0): export with opset 9 or later")
    if n.integer("training_mode", 0):
        return _by_the_batch(n, x, scale, bias, mean, variance, epsilon)
    mean, variance = (v.frozen() if isinstance(v, Known) else v for v in (mean, variance))
    dtype = x.dtype
    scale, bias, mean, variance = (v if v.dtype == dtype else n(Cast(dtype), v) for v in (scale, bias, mean, variance))
    momentum = 1 - n.real("momentum", 0.9)
    return n(BatchNorm(epsilon, round(momentum, 7)), x, scale, bias, mean, variance)


def _by_the_batch(
    n: Call, x: Entry, scale: Entry, bias: Entry, mean: Entry, variance: Entry, epsilon: float
) -> tuple[Entry, ...]:
    """Training mode: the batch's own statistics, and the moved ones as further results."""
    axes = (0, *range(2, len(x.shape)))
    shape = (-1, *[1] * (len(x.shape) - 2))
    own = n(ReduceMean(axes, False), x)
    centred = n(Sub(), x, n(Reshape(shape), own))
    spread = n(ReduceMean(axes, False), n(Mul(), centred, centred))
    inverse = n(Rsqrt(), n(Add(), spread, n.scalar(epsilon, spread)))
    y = n(Add(), n(Mul(), centred, n(Reshape(shape), n(Mul(), scale, inverse))), n(Reshape(shape), bias))
    kept = n.real("momentum", 0.9)

    def moved(before: Entry, now: Entry) -> Entry:
        return n(Add(), n(Mul(), before, n.scalar(kept, before)), n(Mul(), now, n.scalar(1 - kept, now)))

    return y, moved(mean, own), moved(variance, spread)


@imports("InstanceNormalization")
def instance_norm(n: Call) -> Entry:
    """Group norm with one channel a group."""
    x = n.x()
    return n(GroupNorm(x.shape[1], n.real("epsilon", 1e-5)), x, n.x(1), n.x(2))


@imports("GroupNormalization")
def group_norm(n: Call) -> Entry:
    """Scale and bias belong to the groups before opset 21, to the channels since."""
    x, scale, bias = n.x(0), n.x(1), n.x(2)
    groups = n.integer("num_groups", 1)
    if groups < 1 or x.shape[1] % groups:
        raise n.refuse(f"{x.shape[1]} channels in {groups} groups")
    if scale.shape == (groups,) != (x.shape[1],):
        share = x.shape[1] // groups
        scale, bias = (
            n(Reshape((-1,)), n(Expand((groups, share)), n(Reshape((groups, 1)), v))) for v in (scale, bias)
        )
    return n(GroupNorm(groups, n.real("epsilon", 1e-5)), x, scale, bias)


@imports("LayerNormalization")
def layer_norm(n: Call) -> Entry | tuple[Entry, ...]:
    """Over all axes from `axis` on; mean and inverse deviation are spelt out where they are asked for."""
    x, scale, bias = n.x(0), n.x(1), n.get(2)
    axis, epsilon = n.axis(n.integer("axis", -1), len(x.shape)), n.real("epsilon", 1e-5)
    over = x.shape[axis:]
    if not any(n.outputs[1:]) and scale.shape == over and (bias is None or bias.shape == over):
        return n(LayerNorm(epsilon, len(over)), x, scale, bias)
    axes = tuple(range(axis, len(x.shape)))
    mean = n(ReduceMean(axes, True), x)
    centred = n(Sub(), x, mean)
    variance = n(ReduceMean(axes, True), n(Mul(), centred, centred))
    inverse = n(Rsqrt(), n(Add(), variance, n.scalar(epsilon, x)))
    y = n(Mul(), n(Mul(), centred, inverse), scale)
    return (n(Add(), y, bias) if bias is not None else y), mean, inverse


@imports("LpNormalization")
def lp_norm(n: Call) -> Entry:
    """Divided by its 1- or 2-norm along an axis."""
    from ...ops.compare import Equal, Where

    x, p = n.x(), n.integer("p", 2)
    axes = (n.axis(n.integer("axis", -1), len(x.shape)),)
    if p == 1:
        norm = n(ReduceSum(axes, True), n(Abs(), x))
    elif p == 2:
        norm = n(Sqrt(), n(ReduceSum(axes, True), n(Mul(), x, x)))
    else:
        raise n.refuse(f"p is {p}: 1 and 2 are supported")
    zero = n(Equal(), norm, n.scalar(0, norm))
    return n(Div(), x, n(Where(), zero, n.scalar(1, norm), norm))


@imports("MeanVarianceNormalization")
def mean_variance_norm(n: Call) -> Entry:
    """(x - mean) / deviation over the given axes."""
    x = n.x()
    axes = tuple(n.axis(a, len(x.shape)) for a in n.several("axes") or (0, 2, 3))
    centred = n(Sub(), x, n(ReduceMean(axes, True), x))
    deviation = n(Sqrt(), n(ReduceMean(axes, True), n(Mul(), centred, centred)))
    return n(Div(), centred, n(Add(), deviation, n.scalar(1e-9, x)))


@imports("LRN")
def local_response_norm(n: Call) -> Entry:
    """x / (bias + alpha * mean of squares over neighbouring channels)^beta (Krizhevsky et al. 2012, section 3.3)."""
    x, size = n.x(), n.integer("size", 0)
    if len(x.shape) < 3 or not 1 <= size <= 2 * x.shape[1] + 1:
        raise n.refuse(f"size {size} of {list(x.shape)}")
    before, after = (size - 1) // 2, size // 2
    space = math.prod(x.shape[2:])
    rows = n(Reshape((0, 1, x.shape[1], space)), n(Mul(), x, x))
    mean = n(AveragePool((size, 1), (1, 1), (before, 0, after, 0), True), rows)
    mean = n(Reshape((0, *x.shape[1:])), mean)
    alpha, beta, bias = n.real("alpha", 1e-4), n.real("beta", 0.75), n.real("bias", 1.0)
    base = n(Add(), n.scalar(bias, x), n(Mul(), mean, n.scalar(alpha, x)))
    return n(Div(), x, n(Pow(), base, n.scalar(np.asarray(beta), x)))


@imports("RMSNormalization")
def rms_norm(n: Call) -> Entry:
    """x / sqrt(mean(x^2) + epsilon) over all axes from `axis` on, then scale."""
    x, scale = n.x(0), n.x(1)
    axes = tuple(range(n.axis(n.integer("axis", -1), len(x.shape)), len(x.shape)))
    power = n(ReduceMean(axes, True), n(Mul(), x, x))
    root = n(Sqrt(), n(Add(), power, n.scalar(n.real("epsilon", 1e-5), x)))
    return n(Mul(), n(Mul(), x, n(Reciprocal(), root)), scale)
