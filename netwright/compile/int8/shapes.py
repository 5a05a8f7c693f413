"""Pooling, resizing and what only moves data."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from netwright.errors import UserError
from netwright.graph import Node, Value
from netwright.graph.ops.index import Gather, GatherElements
from netwright.graph.ops.int8.pool import QAveragePool, QMaxPool
from netwright.graph.ops.int8.resize import QResizeBilinear
from netwright.graph.ops.linear import Linear
from netwright.graph.ops.pool import AveragePool, GlobalAveragePool, GlobalMaxPool, MaxPool
from netwright.graph.ops.resize import Resize
from netwright.graph.ops.shape import Concat, Expand, Pad, Reshape, Slice, Split, Transpose

from .layout import TO_LAST, keeps_memory
from .lowering import Lowering, lowers
from .shuffle import shuffled


def _pool2d(
    kernel: tuple[int, ...], stride: tuple[int, ...], padding: tuple[int, ...]
) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int, int, int]]:
    if len(kernel) == 1:
        return (1, kernel[0]), (1, stride[0]), (0, padding[0], 0, padding[1])
    return (kernel[0], kernel[1]), (stride[0], stride[1]), (padding[0], padding[1], padding[2], padding[3])


def _pooled(state: Lowering, node: Node, op: QAveragePool | QMaxPool, x: Value, rank: int) -> None:
    """Apply a pool to an image; a row becomes an image of height 1 on the way."""
    image = x if rank == 4 else state.b(Reshape((0, 1, *x.shape[1:])), x)
    y = state.b(op, image, name=node.name)
    state.put(node.output, y if rank == 4 else state.b(Reshape((0, *y.shape[2:])), y), last=True)


@lowers(MaxPool, AveragePool)
def pool(state: Lowering, node: Node) -> None:
    """Windows as in float; the result keeps the input's scale."""
    op = node.op
    assert isinstance(op, (MaxPool, AveragePool))
    if isinstance(op, MaxPool) and op.indices:
        raise UserError(f"{node.name}: int8 max_pool gives no indices; export the network without them")
    kind = QMaxPool if isinstance(op, MaxPool) else QAveragePool
    assert node.inputs[0] is not None
    x = state.x(node, last=True)
    _pooled(state, node, kind(*_pool2d(op.kernel, *op.geometry())), x, len(node.inputs[0].shape))


@lowers(GlobalAveragePool, GlobalMaxPool)
def global_pool(state: Lowering, node: Node) -> None:
    """One window over everything."""
    x = state.x(node, last=True)
    kind = QAveragePool if isinstance(node.op, GlobalAveragePool) else QMaxPool
    size = (1, x.shape[1]) if len(x.shape) == 3 else (x.shape[1], x.shape[2])
    _pooled(state, node, kind(size, size), x, len(x.shape))


@lowers(Reshape)
def reshape(state: Lowering, node: Node) -> None:
    """Elements keep their own order. Channels may stay last where they stay channels, and where a linear layer reads
    or made them, which permutes its weights instead."""
    source, shape = node.inputs[0], node.output.shape
    assert source is not None
    op = node.op
    assert isinstance(op, Reshape)
    if source in state.unflattened:
        kept = (0, *(shape[i] for i in TO_LAST[len(shape)][1:]))
        state.put(node.output, state.b(Reshape(kept), state.form(source, False), name=node.name), last=True)
        return
    if state.is_last(source):
        if shuffled(state, node):
            return
        reader = state.only_reader(node.output)
        flat = shape == (source.shape[0], math.prod(source.shape[1:]))
        if flat and reader is not None and isinstance(reader.op, Linear):
            state.flattened[node.output] = source
            state.put(node.output, state.b(Reshape((0, -1)), state.form(source, True), name=node.name))
            return
        if len(shape) in TO_LAST and shape[:2] == source.shape[:2]:
            kept = (0, *shape[2:], shape[1])
            state.put(node.output, state.b(Reshape(kept), state.form(source, True), name=node.name), last=True)
            return
    x = state.form(source, False)
    state.put(node.output, state.b(Reshape(op.shape), x, name=node.name) if x.shape != shape else x)


@lowers(Transpose)
def transpose(state: Lowering, node: Node) -> None:
    """Nothing moves where one layout of the source is one of the result."""
    source = node.inputs[0]
    assert source is not None and isinstance(node.op, Transpose)
    rank, permutation = len(source.shape), node.op.permutation
    own = tuple(range(rank))
    last = state.is_last(source)
    x = state.form(source, last)
    lies = TO_LAST[rank] if last else own  # int8 axis -> float axis

    def turn(order: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(lies.index(permutation[a]) for a in order)

    if rank in TO_LAST and not keeps_memory(x.shape, turn(own)) and turn(TO_LAST[rank]) == own:
        state.put(node.output, x, last=True)
        return
    state.put(node.output, state.turned(x, turn(own), node.name))


def place_of_axis(axis: int, rank: int, last: bool) -> int:
    """Where an axis lies."""
    axis %= rank
    return TO_LAST[rank].index(axis) if last and rank in TO_LAST else axis


def _moved(per_axis: tuple[int, ...], last: bool) -> tuple[int, ...]:
    """One number an axis, in the order of the layout."""
    return tuple(per_axis[i] for i in TO_LAST[len(per_axis)]) if last and per_axis else per_axis


@lowers(Concat)
def concat(state: Lowering, node: Node) -> None:
    """Every part in the result's scale."""
    out, op, rank = state.quant(node.output), node.op, len(node.output.shape)
    assert isinstance(op, Concat)
    last = state.together(node)
    parts = [state.shared(node, i, rank, last, out) for i in range(len(node.inputs))]
    state.put(node.output, state.b(Concat(place_of_axis(op.axis, rank, last)), *parts, name=node.name), last)


@lowers(Split)
def split(state: Lowering, node: Node) -> None:
    """Cut along the same axis."""
    op, source = node.op, node.inputs[0]
    assert isinstance(op, Split) and source is not None
    last = state.is_last(source)
    axis = place_of_axis(op.axis, len(source.shape), last)
    made: Any = state.b(Split(axis, op.sizes), state.form(source, last), name=node.name)
    for value, part in zip(node.outputs, made if isinstance(made, tuple) else (made,), strict=True):
        state.put(value, part, last)


@lowers(Slice)
def cut(state: Lowering, node: Node) -> None:
    """The same block."""
    op, source = node.op, node.inputs[0]
    assert isinstance(op, Slice) and source is not None
    last = state.is_last(source)
    q = Slice(_moved(op.starts, last), _moved(op.ends, last), _moved(op.steps, last))
    state.put(node.output, state.b(q, state.form(source, last), name=node.name), last)


@lowers(Pad)
def pad(state: Lowering, node: Node) -> None:
    """Constants become the integer that stands for them."""
    op, source = node.op, node.inputs[0]
    assert isinstance(op, Pad) and source is not None
    last = state.is_last(source)
    x = state.form(source, last)
    assert x.type.quant is not None
    half = len(op.pads) // 2
    if math.isnan(op.value):
        raise UserError(f"{node.name}: it pads with what is no number (NaN)")
    steps = max(-256.0, min(256.0, op.value / x.type.quant.scale))  # an infinity pads a max pool
    value = max(-128, min(127, round(steps) + x.type.quant.zero))
    pads = (*_moved(op.pads[:half], last), *_moved(op.pads[half:], last))
    state.put(node.output, state.b(Pad(pads, op.mode, float(value)), x, name=node.name), last)


@lowers(Expand)
def expand(state: Lowering, node: Node) -> None:
    """Repeated in the layout that is there, if the rank stays."""
    source, shape = node.inputs[0], node.output.shape
    assert source is not None
    last = state.is_last(source) and len(source.shape) == len(shape)
    x = state.form(source, last)
    state.put(node.output, state.b(Expand(_moved(shape, last)), x, name=node.name), last)


@lowers(Gather)
def gather(state: Lowering, node: Node) -> None:
    """Rows of a table, or of an activation along an axis that stays one axis."""
    op, source, where = node.op, node.inputs[0], node.inputs[1]
    assert isinstance(op, Gather) and source is not None and where is not None
    rank = len(source.shape)
    last = state.has(source) and state.is_last(source) and len(where.shape) == 1
    x = state.x(node, last=last)
    made = state.b(Gather(place_of_axis(op.axis, rank, last)), x, state.whole(node, 1), name=node.name)
    state.put(node.output, made, last)


@lowers(GatherElements)
def gather_elements(state: Lowering, node: Node) -> None:
    """The integers themselves."""
    made = state.b(node.op, state.x(node, last=False), state.whole(node, 1), name=node.name)
    state.put(node.output, made)


@lowers(Resize)
def resize(state: Lowering, node: Node) -> None:
    """Nearest neighbours, one gather an axis; or bilinear as TFLite's fixed point has it."""
    op, x = node.op, state.x(node, last=True)
    assert isinstance(op, Resize)
    if op.mode == "nearest":
        for axis, wanted in enumerate(op.size, start=1):
            rows = state.b.constant(op.rows(x.shape[axis], wanted).astype(np.int32), f"{node.name}.rows")
            x = state.b(Gather(axis), x, rows, name=node.name)
        state.put(node.output, x, last=True)
        return
    height, width = (1, *op.size)[-2:]
    q = QResizeBilinear((height, width), op.coordinates == "align_corners", op.coordinates == "half_pixel")
    image = x if len(x.shape) == 4 else state.b(Reshape((0, 1, *x.shape[1:])), x, name=f"{node.name}.image")
    y = state.b(q, image, name=node.name)
    state.put(node.output, y if len(x.shape) == 4 else state.b(Reshape((0, *y.shape[2:])), y), last=True)
