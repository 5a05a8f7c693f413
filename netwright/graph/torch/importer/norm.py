"""Normalisations with the statistics of evaluation."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...graph import Value
from ...ops.binary import Mul, Sub
from ...ops.norm import BatchNorm, GroupNorm, LayerNorm, RMSNorm
from ...ops.reduce import ReduceMax, ReduceSum
from ...ops.unary import Abs, Sqrt
from ...types import DTYPES
from .importer import Import, imports


def _filled(im: Import, x: Any, number: float, channels: int, like: Value) -> Value:
    """A per-channel parameter; a constant where the layer has none."""
    return im.value(x) if x is not None else im.b.constant(np.full(channels, number, DTYPES[like.dtype]), "affine")


@imports("_native_batch_norm_legit_no_training", "_native_batch_norm_legit", "batch_norm", "native_batch_norm")
def batch_norm(im: Import, a: Any) -> Any:
    """Running statistics. Raises UserError for a layer that would use the batch's own."""
    if getattr(a, "training", False) or getattr(a, "running_mean", None) is None:
        im.refuse("batch norm with the batch's own statistics", "track running statistics, or use group or layer norm")
    x = im.value(a.input)
    channels = x.shape[1]
    y = im.b(
        BatchNorm(float(a.eps), float(a.momentum)), x,
        _filled(im, a.weight, 1.0, channels, x), _filled(im, a.bias, 0.0, channels, x),
        im.value(a.running_mean), im.value(a.running_var),
    )  # fmt: skip
    return y if im.op == "batch_norm" else (y, None, None)


@imports("layer_norm", "native_layer_norm")
def layer_norm(im: Import, a: Any) -> Any:
    """Over the trailing dimensions."""
    op = LayerNorm(float(a.eps), len(a.normalized_shape))
    y = im.b(op, im.value(a.input), *_affine(im, a))
    return y if im.op == "layer_norm" else (y, None, None)


@imports("rms_norm", "_fused_rms_norm")
def rms_norm(im: Import, a: Any) -> Any:
    """Over the last dimension."""
    if len(a.normalized_shape) != 1:
        im.refuse(f"RMS norm over {len(a.normalized_shape)} dimensions", "flatten them first")
    x = im.value(a.input)
    epsilon = float(a.eps) if a.eps is not None else float(np.finfo(DTYPES[x.dtype]).eps)
    y = im.b(RMSNorm(epsilon), x, *([im.value(a.weight)] if a.weight is not None else []))
    return y if im.op == "rms_norm" else (y, None)


@imports("group_norm")
def group_norm(im: Import, a: Any) -> Value:
    """Over groups of channels and space."""
    return im.b(GroupNorm(a.num_groups, float(a.eps)), im.value(a.input), *_affine(im, a))


@imports("native_group_norm")
def native_group_norm(im: Import, a: Any) -> Any:
    """The same under another signature."""
    return im.b(GroupNorm(a.group, float(a.eps)), im.value(a.input), *_affine(im, a)), None, None


@imports("instance_norm")
def instance_norm(im: Import, a: Any) -> Value:
    """A group norm of one channel a group; with tracked statistics a batch norm."""
    x = im.value(a.input)
    if not a.use_input_stats:
        channels = x.shape[1]
        scale, bias = _filled(im, a.weight, 1.0, channels, x), _filled(im, a.bias, 0.0, channels, x)
        return im.b(BatchNorm(float(a.eps)), x, scale, bias, im.value(a.running_mean), im.value(a.running_var))
    return im.b(GroupNorm(x.shape[1], float(a.eps)), x, *_affine(im, a))


def _affine(im: Import, a: Any) -> list[Value | None]:
    scale, bias = im.optional(a.weight), im.optional(a.bias)
    if bias is not None:
        return [scale, bias]
    return [scale] if scale is not None else []


@imports("linalg_vector_norm")
def vector_norm(im: Import, a: Any) -> Value:
    """Of order 1, 2 or infinity."""
    return _norm(im, im.value(a.self, im.dtype), a.ord, tuple(a.dim or ()), a.keepdim)


@imports("cdist", "_cdist_forward", "_euclidean_dist")
def distances(im: Import, a: Any) -> Value:
    """Each row of x [.., P, D] from each of y [.., R, D] -> [.., P, R]."""
    x, y = im.value(a.x1), im.value(a.x2)
    x = im.reshape(x, (*x.shape[:-1], 1, x.shape[-1]))
    y = im.reshape(y, (*y.shape[:-2], 1, *y.shape[-2:]))
    return _norm(im, im.b(Sub(), x, y), getattr(a, "p", 2), (-1,), False)


def _norm(im: Import, x: Value, order: float, axes: tuple[int, ...], keep: bool) -> Value:
    if order == 2:
        return im.b(Sqrt(), im.b(ReduceSum(axes, keep), im.b(Mul(), x, x)))
    if order == 1:
        return im.b(ReduceSum(axes, keep), im.b(Abs(), x))
    if order == float("inf"):
        return im.b(ReduceMax(axes, keep), im.b(Abs(), x))
    im.refuse(f"a norm of order {order}", "use 1, 2 or infinity")
