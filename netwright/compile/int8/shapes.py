"""Pooling and what only moves data."""

from __future__ import annotations

import math
from typing import Any

from netwright.errors import UserError
from netwright.graph import Node, Value
from netwright.graph.ops.int8.pool import QAveragePool, QMaxPool
from netwright.graph.ops.linear import Linear
from netwright.graph.ops.pool import AveragePool, GlobalAveragePool, GlobalMaxPool, MaxPool
from netwright.graph.ops.resize import Resize
from netwright.graph.ops.shape import Concat, Pad, Reshape, Slice, Split, Transpose

from .lowering import Lowering, lowers, requantised


def _pool2d(
    kernel: tuple[int, ...], stride: tuple[int, ...], padding: tuple[int, ...]
) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int, int, int]]:
    if len(kernel) == 1:
        return (1, kernel[0]), (1, stride[0]), (0, padding[0], 0, padding[1])
    return (kernel[0], kernel[1]), (stride[0], stride[1]), (padding[0], padding[1], padding[2], padding[3])


def _pooled(state: Lowering, node: Node, op: QAveragePool | QMaxPool, x: Value, rank: int) -> Value:
    """Apply a pool to an image; a row becomes an image of height 1 on the way."""
    image = x if rank == 4 else state.b(Reshape((0, 1, *x.shape[1:])), x)
    y = state.b(op, image, name=node.name)
    return y if rank == 4 else state.b(Reshape((0, *y.shape[2:])), y)


@lowers(MaxPool, AveragePool)
def pool(state: Lowering, node: Node) -> Value:
    """Windows as in float; the result keeps the input's scale."""
    op = node.op
    assert isinstance(op, (MaxPool, AveragePool))
    if isinstance(op, MaxPool) and op.indices:
        raise UserError(f"{node.name}: int8 max_pool gives no indices")
    if isinstance(op, AveragePool) and op.count_padding and any(op.padding):
        raise UserError(f"{node.name}: int8 average_pool does not count padding")
    kind = QMaxPool if isinstance(op, MaxPool) else QAveragePool
    assert node.inputs[0] is not None
    return _pooled(state, node, kind(*_pool2d(op.kernel, *op.geometry())), state.x(node), len(node.inputs[0].shape))


@lowers(GlobalAveragePool, GlobalMaxPool)
def global_pool(state: Lowering, node: Node) -> Value:
    """One window over everything."""
    x = state.x(node)
    kind = QAveragePool if isinstance(node.op, GlobalAveragePool) else QMaxPool
    size = (1, x.shape[1]) if len(x.shape) == 3 else (x.shape[1], x.shape[2])
    return _pooled(state, node, kind(size, size), x, len(x.shape))


@lowers(Reshape)
def reshape(state: Lowering, node: Node) -> Value:
    """Elements keep their channels-first order, but for a linear layer, which permutes its weights instead."""
    source = node.inputs[0]
    assert source is not None
    op = node.op
    assert isinstance(op, Reshape)
    rank = len(source.shape)
    reader = state.only_reader(node.output)
    is_flat = rank in (3, 4) and node.output.shape == (source.shape[0], math.prod(source.shape[1:]))
    if is_flat and reader is not None and isinstance(reader.op, Linear):
        state.flattened[node.output] = source
        return state.b(Reshape((0, -1)), state.x(node), name=node.name)
    x = state.first(state.x(node), rank)
    y = state.b(Reshape(op.shape), x, name=node.name) if x.shape != node.output.shape else x
    return state.last(y, len(node.output.shape))


@lowers(Transpose)
def transpose(state: Lowering, node: Node) -> Value:
    """Through channels first."""
    source = node.inputs[0]
    assert source is not None
    x = state.first(state.x(node), len(source.shape))
    assert isinstance(node.op, Transpose)
    return state.last(state.turned(x, node.op.permutation, node.name), len(node.output.shape))


def place_of_axis(axis: int, rank: int) -> int:
    """Where a channels-first axis lies channels last."""
    axis %= rank
    return axis if rank not in (3, 4) or axis == 0 else (rank - 1 if axis == 1 else axis - 1)


def _moved(per_axis: tuple[int, ...]) -> tuple[int, ...]:
    """One number an axis, reordered to channels last."""
    return (per_axis[0], *per_axis[2:], per_axis[1]) if len(per_axis) in (3, 4) else per_axis


@lowers(Concat)
def concat(state: Lowering, node: Node) -> Value:
    """Every part in the result's scale."""
    out = state.quant(node.output)
    op = node.op
    assert isinstance(op, Concat)
    parts = [requantised(state, state.x(node, i), out) for i in range(len(node.inputs))]
    return state.b(Concat(place_of_axis(op.axis, len(node.output.shape))), *parts, name=node.name)


@lowers(Split)
def split(state: Lowering, node: Node) -> Value:
    """Cut along the same axis."""
    op = node.op
    assert isinstance(op, Split)
    x = state.x(node)
    made: Any = state.b(Split(place_of_axis(op.axis, len(x.shape)), op.sizes), x, name=node.name)
    parts = made if isinstance(made, tuple) else (made,)
    state.made.update(zip(node.outputs, parts, strict=True))
    return parts[0]


@lowers(Slice)
def cut(state: Lowering, node: Node) -> Value:
    """The same block."""
    op = node.op
    assert isinstance(op, Slice)
    return state.b(Slice(_moved(op.starts), _moved(op.ends), _moved(op.steps)), state.x(node), name=node.name)


@lowers(Pad)
def pad(state: Lowering, node: Node) -> Value:
    """Constants become the integer that stands for them."""
    op, x = node.op, state.x(node)
    assert isinstance(op, Pad) and x.type.quant is not None
    half = len(op.pads) // 2
    if math.isnan(op.value):
        raise UserError(f"{node.name}: it pads with what is no number (NaN)")
    steps = max(-256.0, min(256.0, op.value / x.type.quant.scale))  # an infinity pads a max pool
    value = max(-128, min(127, round(steps) + x.type.quant.zero))
    pads = (*_moved(op.pads[:half]), *_moved(op.pads[half:]))
    return state.b(Pad(pads, op.mode, float(value)), x, name=node.name)


@lowers(Resize)
def resize(state: Lowering, node: Node) -> Value:
    """Nearest neighbours, one gather an axis."""
    import numpy as np

    from netwright.graph.ops.index import Gather

    op, x = node.op, state.x(node)
    assert isinstance(op, Resize)
    if op.mode != "nearest":
        raise UserError(f"{node.name}: int8 resize is nearest only")
    for axis, wanted in enumerate(op.size, start=1):
        rows = state.b.constant(op.rows(x.shape[axis], wanted).astype(np.int32), f"{node.name}.rows")
        x = state.b(Gather(axis), x, rows, name=node.name)
    return x
