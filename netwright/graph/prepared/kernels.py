"""Ops bound to fixed arrays: a kernel takes a node, its operands and its results, and gives a call without arguments.

Every operand keeps its place in memory from step to step, so that views are made once, here, and a call only computes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..graph import Node
from ..op import Composite, Op
from ..ops.activation import Gelu, Silu
from ..ops.attention import MASKED, CausalAttention
from ..ops.binary import Add, Div, Mul, Sub
from ..ops.linear import Linear
from ..ops.norm import LayerNorm, RMSNorm
from ..ops.overwrite import Overwrite, overwrite
from ..ops.rope import Rope

Call = Callable[[], Any]
Arrays = list[Any]


def bind(node: Node, given: Arrays, made: list[np.ndarray]) -> Call:
    """The call that computes `made` from `given`; what has no kernel runs its reference."""
    kernel = KERNELS.get(type(node.op))
    return kernel(node.op, given, made) if kernel is not None else _reference(node.op, given, made)


def whole(op: Op) -> bool:
    """Whether a composite is taken as it is."""
    return type(op) in KERNELS or not isinstance(op, Composite)


def _reference(op: Op, given: Arrays, made: list[np.ndarray]) -> Call:
    if len(made) > 1:

        def several() -> None:
            for place, array in zip(made, op.numpy(*given), strict=True):
                place[...] = array

        return several
    (place,) = made

    def single() -> None:
        place[...] = op.numpy(*given)

    return single


def _binary(function: Any) -> Callable[[Any, Arrays, list[np.ndarray]], Call]:
    def kernel(op: Any, given: Arrays, made: list[np.ndarray]) -> Call:
        (x, y), (out,) = given, made
        if out.dtype.kind != "f":
            return _reference(op, given, made)
        return lambda: function(x, y, out)

    return kernel


def linear(weight: np.ndarray, bias: np.ndarray | None, x: np.ndarray, out: np.ndarray) -> Call:
    """x [.., I] times weight [O, I], plus bias, into out [.., O]."""
    if x.size == x.shape[-1] and out.flags.c_contiguous:
        row, result = x.reshape(-1), out.reshape(-1)
        if np.may_share_memory(row, x):
            if bias is None:
                return lambda: np.dot(weight, row, result)

            def one() -> None:
                np.dot(weight, row, result)
                np.add(result, bias, result)

            return one
    turned = weight.T

    def rows() -> None:
        np.matmul(x if x.strides[-1] == x.itemsize else np.ascontiguousarray(x), turned, out)
        if bias is not None:
            np.add(out, bias, out)

    return rows


def _linear(op: Linear, given: Arrays, made: list[np.ndarray]) -> Call:
    x, weight, *bias = given
    return linear(weight, bias[0] if bias else None, x, made[0])


def _affine(out: np.ndarray, scale: Any, bias: Any) -> None:
    if scale is not None:
        np.multiply(out, scale, out)
    if bias is not None:
        np.add(out, bias, out)


def _rms_norm(op: RMSNorm, given: Arrays, made: list[np.ndarray]) -> Call:
    (x, *scales), (out,) = given, made
    scale = scales[0] if scales else None
    width = x.shape[-1]
    if x.size == width and x.flags.c_contiguous and scale is not None:
        row, result = x.reshape(-1), out.reshape(-1)

        def one() -> None:
            np.multiply(row, scale, result)
            np.multiply(result, result.dtype.type(1 / math.sqrt(np.dot(row, row) / width + op.epsilon)), result)

        return one

    def rows() -> None:
        power = np.einsum("...i,...i->...", x, x)[..., None]
        np.multiply(x, (1 / np.sqrt(power / width + op.epsilon)).astype(out.dtype), out)
        _affine(out, scale, None)

    return rows


def _layer_norm(op: LayerNorm, given: Arrays, made: list[np.ndarray]) -> Call:
    (x, *rest), (out,) = given, made
    scale, bias = (*rest, None, None)[:2]
    axes = tuple(range(-op.dims, 0))
    share = 1 / math.prod(x.shape[a] for a in axes)

    def run() -> None:
        np.subtract(x, np.add.reduce(x, axes, keepdims=True) * share, out)
        if out.size == out.shape[-1]:
            row = out.reshape(-1)
            np.multiply(row, out.dtype.type(1 / math.sqrt(np.dot(row, row) * share + op.epsilon)), row)
        else:
            variance = np.add.reduce(out * out, axes, keepdims=True) * share
            np.multiply(out, (1 / np.sqrt(variance + op.epsilon)).astype(out.dtype), out)
        _affine(out, scale, bias)

    return run


def _silu(op: Silu, given: Arrays, made: list[np.ndarray]) -> Call:
    (x,), (out,) = given, made

    def run() -> None:  # x / 2 (1 + tanh(x / 2)): nothing in it overflows
        np.multiply(x, 0.5, out)
        np.tanh(out, out)
        np.add(out, 1.0, out)
        np.multiply(out, x, out)
        np.multiply(out, 0.5, out)

    return run


def _gelu(op: Gelu, given: Arrays, made: list[np.ndarray]) -> Call:
    if not op.approximate:
        return _reference(op, given, made)
    (x,), (out,) = given, made
    slope = math.sqrt(2 / math.pi)

    def run() -> None:
        np.multiply(x, x, out)
        np.multiply(out, 0.044715 * slope, out)
        np.add(out, slope, out)
        np.multiply(out, x, out)
        np.tanh(out, out)
        np.add(out, 1.0, out)
        np.multiply(out, x, out)
        np.multiply(out, 0.5, out)

    return run


def _rope(op: Rope, given: Arrays, made: list[np.ndarray]) -> Call:
    (x, cosine, sine), (out,) = given, made
    half = x.shape[-1] // 2
    pairs, turned = (a.reshape(*a.shape[:-1], 2, half) for a in (x, out))
    if not np.may_share_memory(pairs, x):
        return _reference(op, given, made)
    crossed, product = pairs[..., ::-1, :], np.empty_like(turned)
    cosines, sines = cosine[:, None], sine[:, None]
    low, high = turned[..., 0, :], turned[..., 1, :]
    taken, added = product[..., 0, :], product[..., 1, :]

    def run() -> None:
        np.multiply(pairs, cosines, turned)
        np.multiply(crossed, sines, product)
        np.subtract(low, taken, low)
        np.add(high, added, high)

    return run


def _causal_attention(op: CausalAttention, given: Arrays, made: list[np.ndarray]) -> Call:
    (q, k, v, *where), (out,) = given, made
    start = where[0] if where else None
    (heads, rows, width), (groups, size, _) = q.shape, k.shape
    scale = out.dtype.type(op.scale or 1 / math.sqrt(width))
    shared = heads // groups
    single = rows == 1  # one matrix of all heads of a group; else one a head
    shape = (groups, shared) if single else (groups, shared, rows)
    query = q.reshape(*shape, width) if single else np.lib.stride_tricks.as_strided(
        q, (*shape, width), (shared * q.strides[0], *q.strides)
    )  # fmt: skip
    result = out.reshape(*shape, v.shape[-1])
    keys = k.transpose(0, 2, 1) if single else k.transpose(0, 2, 1)[:, None]
    values = v if single else v[:, None]
    room = np.empty(math.prod(shape) * size, out.dtype)
    places, queries = np.arange(size), np.arange(rows)[:, None]

    def run() -> None:
        first = int(start[0]) if start is not None else 0
        seen = min(first + rows, size)
        scores = room[: math.prod(shape) * seen].reshape(*shape, seen)
        np.matmul(query, keys[..., :seen], scores)
        np.multiply(scores, scale, scores)
        if not single:
            np.add(scores, MASKED, scores, where=places[:seen] > queries + first)
        np.subtract(scores, np.maximum.reduce(scores, -1, keepdims=True), scores)
        np.exp(scores, scores)
        np.matmul(scores, values[..., :seen, :], result)
        np.divide(result, np.add.reduce(scores, -1, keepdims=True), result)

    return run


def _overwrite(op: Overwrite, given: Arrays, made: list[np.ndarray]) -> Call:
    (x, y, start), (out,) = given, made
    axis = op.axis % x.ndim
    if out is x:
        return lambda: overwrite(x, y, int(start[0]), axis)

    def run() -> None:
        out[...] = x
        overwrite(out, y, int(start[0]), axis)

    return run


KERNELS: dict[type[Op], Callable[[Any, Arrays, list[np.ndarray]], Call]] = {
    Add: _binary(np.add),
    Sub: _binary(np.subtract),
    Mul: _binary(np.multiply),
    Div: _binary(np.divide),
    Linear: _linear,
    RMSNorm: _rms_norm,
    LayerNorm: _layer_norm,
    Silu: _silu,
    Gelu: _gelu,
    Rope: _rope,
    CausalAttention: _causal_attention,
    Overwrite: _overwrite,
}
