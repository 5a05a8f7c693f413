"""Reductions along constant axes. `reduce_sum` accumulates in fp32, or element by element in fp16 (`Numerics`)."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import numpy as np

from ...mil.program import TensorType
from ..call import FLOATS, Call, Kernel
from ..registry import op

_FUNCTIONS: dict[str, Callable[..., np.ndarray]] = {
    "reduce_sum": np.sum,
    "reduce_mean": np.mean,
    "reduce_max": np.max,
    "reduce_min": np.min,
    "reduce_prod": np.prod,
    "reduce_sum_square": lambda v, axes, keepdims: np.sum(np.square(v), axes, keepdims=keepdims),
    "reduce_l1_norm": lambda v, axes, keepdims: np.sum(np.abs(v), axes, keepdims=keepdims),
    "reduce_l2_norm": lambda v, axes, keepdims: np.sqrt(np.sum(np.square(v), axes, keepdims=keepdims)),
    "reduce_log_sum": lambda v, axes, keepdims: np.log(np.sum(v, axes, keepdims=keepdims)),
    "reduce_log_sum_exp": lambda v, axes, keepdims: _log_sum_exp(v, axes, keepdims),
}


@op(*_FUNCTIONS)
def reduce(call: Call) -> Kernel:
    """reduce_sum, _mean, _max, _min, _prod, _sum_square, _l1_norm, _l2_norm, _log_sum, _log_sum_exp."""
    x, name = call.operand("x"), call.statement.op
    axes = call.axes(len(x.shape), default=None)
    keep = bool(call.const("keep_dims", False))
    if x.dtype not in (*FLOATS, "int32"):
        call.fail(f"x is {x}, expected fp16, fp32 or int32")
    shape = tuple(1 if i in axes else s for i, s in enumerate(x.shape) if keep or i not in axes)
    result = TensorType(x.dtype, shape)
    if name == "reduce_sum" and x.dtype == "fp16" and call.numerics.reduce_sum == "fp16":
        return Kernel((result,), lambda v: _sum_in_order(v, axes).reshape(shape))
    function, held = _FUNCTIONS[name], np.int32 if x.dtype == "int32" else np.float32
    if prod(x.shape[a] for a in axes) == 0:
        call.fail(f"x is {x}: nothing to reduce")
    exact = name in ("reduce_max", "reduce_min")
    return Kernel((result,), lambda v: np.asarray(function(v, axes, keepdims=keep), held), exact)


@op("reduce_argmax", "reduce_argmin")
def reduce_arg(call: Call) -> Kernel:
    """The place of the first largest or smallest element along a constant axis, int32."""
    x = call.operand("x")
    axis = call.axis(len(x.shape), default=-1)
    keep = bool(call.const("keep_dims", False))
    if not x.shape[axis]:
        call.fail(f"x is {x}: nothing to reduce")
    function = np.argmax if call.statement.op == "reduce_argmax" else np.argmin
    shape = tuple(1 if i == axis else s for i, s in enumerate(x.shape) if keep or i != axis)
    return Kernel((TensorType("int32", shape),),
                  lambda v: np.asarray(function(v, axis, keepdims=keep), np.int32), exact=True)


@op("cumsum")
def cumsum(call: Call) -> Kernel:
    """Running sums along a constant axis, accumulated in fp32."""
    (x,) = call.floats("x")
    axis = call.axis(len(x.shape), default=0)
    if call.const("exclusive", False) or call.const("reverse", False):
        call.fail("exclusive and reverse sums are not supported")
    return Kernel((x,), lambda v: np.cumsum(v, axis, dtype=np.float32))


def _sum_in_order(v: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """Every partial sum rounded to fp16, in the order of the axes."""
    kept = [i for i in range(v.ndim) if i not in axes]
    rows = v.transpose(*axes, *kept).reshape(-1, *[v.shape[i] for i in kept]).astype(np.float16)
    total = np.zeros(rows.shape[1:], np.float16)
    for row in rows:
        total = total + row
    return np.asarray(total, np.float32)


def _log_sum_exp(v: np.ndarray, axes: tuple[int, ...], keepdims: bool) -> np.ndarray:
    top = v.max(axes, keepdims=True)
    made = np.log(np.sum(np.exp(v - top), axes, keepdims=True)) + top
    return made if keepdims else made.squeeze(axes)
