"""Convolutions: fp16 factors, fp32 accumulation, one rounding. One that is a linear layer is one matrix product."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from ....host import native
from ...mil.program import TensorType
from ..call import Call, Kernel
from ..registry import op
from .windows import Windows, windows

_COLUMNS = 1 << 26  # elements of the matrix of windows that are held at a time


@op("conv")
def conv(call: Call) -> Kernel:
    """x [N, C, ...] with weight [O, C/groups, ...] and bias [O]; one to three spatial axes."""
    (x,) = call.floats("x")
    halves = call.halves("weight") if x.dtype == "fp16" else None
    weight = call.constant("weight") if halves is None else halves
    w = call.floats("weight")[0] if weight is None else TensorType(x.dtype, weight.shape)
    bias = _bias(call, w.shape[0]) if call.has("bias") else None
    groups = call.ints("groups", 1, [1])[0]
    rank = len(x.shape)
    if not 3 <= rank <= 5 or len(w.shape) != rank or groups < 1 or w.shape[0] % groups:
        call.fail(f"x is {x} and weight {w} in {groups} groups, expected [N, C, ...] and [O, C/groups, ...]")
    if x.shape[1] != w.shape[1] * groups:
        call.fail(f"x has {x.shape[1]} channels, the weight is for {w.shape[1]} in each of {groups} groups")
    walk = windows(call, x.shape, w.shape[2:])
    result = TensorType(x.dtype, (x.shape[0], w.shape[0], *walk.out))
    if weight is None:
        return Kernel((result,), lambda v, k: _run(v, k, bias, groups, walk))
    linear = walk.pointwise and groups == 1
    if halves is not None and linear and x.shape[0] == 1 and bias is None and native.available(prod(x.shape[2:])):
        multiply = native.Product(halves.reshape(w.shape[:2]))
        return Kernel((result,), lambda v: multiply(v.reshape(v.shape[1], -1), True).reshape(result.shape), exact=True)
    kernel = call.constant("weight")
    assert kernel is not None
    if linear:
        matrix = kernel.reshape(w.shape[:2])
        return Kernel((result,), lambda v: _pointwise(v, matrix, bias))
    return Kernel((result,), lambda v: _run(v, kernel, bias, groups, walk))


def _bias(call: Call, count: int) -> np.ndarray:
    bias = call.constant("bias")
    if bias is None or bias.shape != (count,) or bias.dtype != np.float32:
        call.fail(f"bias must be a constant of {count} numbers")
    return bias


def _pointwise(x: np.ndarray, w: np.ndarray, bias: np.ndarray | None) -> np.ndarray:
    flat = x.reshape(x.shape[0], x.shape[1], -1)
    made = w @ flat
    if bias is not None:
        made += bias[:, None]
    return made.reshape(x.shape[0], w.shape[0], *x.shape[2:])


def _run(x: np.ndarray, w: np.ndarray, bias: np.ndarray | None, groups: int, walk: Windows) -> np.ndarray:
    n, outs, inner = x.shape[0], w.shape[0], prod(w.shape[1:])
    matrices = w.reshape(groups, outs // groups, inner)
    y = np.empty((n, groups, outs // groups, prod(walk.out)), np.float32)
    rest = len(walk.out)
    row = max(prod(walk.out[1:]), 1)
    rows = max(_COLUMNS // max(groups * inner * row, 1), 1)
    view = walk.view(x)  # [N, C, *out, *kernel]
    view = view.reshape(n, groups, -1, *view.shape[2:]) if groups == 1 else _grouped(view, groups)
    # [N, groups, C/groups, *kernel, *out]
    order = (0, 1, 2, *range(3 + rest, 3 + 2 * rest), *range(3, 3 + rest))
    view = view.transpose(order)
    for sample in range(n):
        for start in range(0, walk.out[0], rows):
            part = view[sample][(..., slice(start, start + rows), *[slice(None)] * (rest - 1))]
            columns = part.reshape(groups, inner, -1)
            y[sample, :, :, start * row : start * row + columns.shape[2]] = matrices @ columns
    y = y.reshape(n, outs, *walk.out)
    if bias is not None:
        y += bias.reshape(-1, *[1] * rest)
    return y


def _grouped(view: np.ndarray, groups: int) -> np.ndarray:
    """[N, C, ...] as [N, groups, C/groups, ...] without a copy."""
    shape = (view.shape[0], groups, view.shape[1] // groups, *view.shape[2:])
    strides = (view.strides[0], view.strides[1] * shape[2], view.strides[1], *view.strides[2:])
    result: Any = np.lib.stride_tricks.as_strided(view, shape, strides, writeable=False)
    return np.asarray(result)


@op("conv_transpose")
def conv_transpose(call: Call) -> Kernel:
    """x [N, C, ...] with a constant weight [C, O/groups, ...]: the gradient of `conv` towards its input."""
    (x,) = call.floats("x")
    weight, rank = call.constant("weight"), len(x.shape)
    groups = call.ints("groups", 1, [1])[0]
    if weight is None or not 3 <= rank <= 5 or weight.ndim != rank or groups < 1 or (
            weight.shape[0] != x.shape[1] or x.shape[1] % groups):
        call.fail(f"x is {x}, expected [N, C, ...] and a constant weight [C, O/groups, ...]")
    count, outs, spatial = rank - 2, weight.shape[1] * groups, weight.shape[2:]
    bias = _bias(call, outs) if call.has("bias") else None
    strides, dilations = call.ints("strides", count, [1] * count), call.ints("dilations", count, [1] * count)
    kind = call.const("pad_type", "valid")
    pad = call.ints("pad", 2 * count, [0] * 2 * count) if kind == "custom" else [0] * 2 * count
    if kind not in ("valid", "custom") or min(*strides, *dilations) < 1 or min(pad) < 0:
        call.fail("expected pad_type valid or custom, strides and dilations of at least 1")
    full = [(s - 1) * t + (k - 1) * d + 1 for s, t, k, d in zip(x.shape[2:], strides, spatial, dilations)]
    least = [f - pad[2 * i] - pad[2 * i + 1] for i, f in enumerate(full)]
    shape = tuple(call.ints("output_shape", rank, [x.shape[0], outs, *least]))
    if shape[:2] != (x.shape[0], outs) or len(shape) != rank or any(
            not m <= o < m + t for m, o, t in zip(least, shape[2:], strides)):
        call.fail(f"no result can have the shape {list(shape)}, expected {[x.shape[0], outs, *least]}")
    # [C, O/g, ...] -> [O, C/g, ...], flipped
    kernel = weight.reshape(groups, x.shape[1] // groups, weight.shape[1], *spatial).swapaxes(1, 2)
    kernel = np.ascontiguousarray(np.flip(kernel, tuple(range(3, 3 + count)))).reshape(outs, -1, *spatial)
    before = [(k - 1) * d for k, d in zip(spatial, dilations)]
    walk = Windows(spatial, (1,) * count, tuple(dilations), tuple((b, b) for b in before), tuple(full))
    cut = (slice(None), slice(None), *(slice(pad[2 * i], pad[2 * i] + o) for i, o in enumerate(shape[2:])))
    call.room(prod(x.shape[:2]) * prod(f + b for f, b in zip(full, before)), "the input spread out")
    spread = tuple((s - 1) * t + 1 for s, t in zip(x.shape[2:], strides))
    every = (slice(None), slice(None), *(slice(None, None, t) for t in strides))

    def run(v: np.ndarray) -> np.ndarray:
        wide = np.zeros((*v.shape[:2], *spread), np.float32)
        wide[every] = v
        made = _run(wide, kernel, bias, groups, walk)[cut]
        short = [(0, o - m) for o, m in zip(shape, made.shape)]
        made = np.pad(made, short) if any(after for _, after in short) else made
        return np.ascontiguousarray(made)

    return Kernel((TensorType(x.dtype, shape),), run)
