"""Reductions over any axes, the place of the largest, the k largest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from netwright.graph import Node, Op, Value
from netwright.graph.ops.index import TopK
from netwright.graph.ops.int8.reduce import QArgMax, QExtreme, QMean, QSum
from netwright.graph.ops.pool import GlobalMaxPool
from netwright.graph.ops.reduce import ArgMax, ReduceMax, ReduceMean, ReduceMin, ReduceSum
from netwright.graph.ops.shape import Reshape

from .layout import TO_LAST
from .lowering import Lowering, lowers
from .shapes import global_pool


@lowers(ReduceMean, ReduceSum)
def mean(state: Lowering, node: Node) -> None:
    """In the result's own range, which is narrower than the image's (a global average pool keeps the image's)."""
    fused = state.fuse(node)
    out = state.quant(fused.output)
    kind = QMean if isinstance(node.op, ReduceMean) else QSum
    limits = state.limits(fused.clamp, out)
    _reduced(state, node, lambda x, axes, keep: kind(axes, keep, x.type.quant, out, **limits), fused.output)  # type: ignore[arg-type]


@lowers(ReduceMax, ReduceMin)
def extreme(state: Lowering, node: Node) -> None:
    """The integers themselves; over all of an image's space, one max pool."""
    op, source = node.op, node.inputs[0]
    assert isinstance(op, (ReduceMax, ReduceMin)) and source is not None
    rank, largest = len(source.shape), isinstance(op, ReduceMax)
    if largest and state.is_last(source) and op.normal_axes(rank) == tuple(range(2, rank)):
        pooled = Value(node.output.name, source.type.with_shape((*source.shape[:2], *[1] * (rank - 2))))
        global_pool(state, Node(GlobalMaxPool(), node.inputs, (pooled,)))
        made = state.form(pooled, True)
        if op.keepdims:
            state.put(node.output, made, last=True)
        else:
            state.put(node.output, state.b(Reshape((0, -1)), made, name=f"{node.name}.flat"))
        return
    _reduced(state, node, lambda x, axes, keep: QExtreme(axes, keep, largest), node.output)


def _reduced(
    state: Lowering, node: Node, made: Callable[[Value, tuple[int, ...], bool], Op], output: Value
) -> None:
    """Reduce in the layout that is there; axes that go are dropped at once where the others keep their order."""
    source = node.inputs[0]
    assert source is not None
    op, rank = node.op, len(source.shape)
    assert isinstance(op, (ReduceMean, ReduceSum, ReduceMax, ReduceMin))
    last = state.is_last(source)
    x = state.form(source, last)
    order = TO_LAST[rank] if last else tuple(range(rank))
    gone = op.normal_axes(rank)
    axes = tuple(sorted(order.index(a) for a in gone))
    kept = [a for a in order if a not in gone]
    if op.keepdims or kept == sorted(kept):
        state.put(output, state.b(made(x, axes, op.keepdims), x, name=node.name), op.keepdims and last)
        return
    whole = _with_ones(node, source, gone)
    state.put(whole, state.b(made(x, axes, True), x, name=node.name), last)
    _dropped(state, node, state.form(whole, False), output, 0 in gone)


def _dropped(state: Lowering, node: Node, y: Value, output: Value, batch_goes: bool) -> None:
    """A result in its own order without the axes of 1 that were reduced; any number of samples, unless they went."""
    shape = output.shape if batch_goes else (0, *output.shape[1:])
    state.put(output, state.b(Reshape(shape), y, name=f"{node.name}.flat"))


def _with_ones(node: Node, source: Value, gone: tuple[int, ...]) -> Value:
    """What the float network would have made, had it kept the axes that go."""
    shape = tuple(1 if a in gone else n for a, n in enumerate(source.shape))
    return Value(node.name, node.output.type.with_shape(shape))


@lowers(ArgMax)
def arg_max(state: Lowering, node: Node) -> None:
    """Along the axis where it lies."""
    op, source = node.op, node.inputs[0]
    assert isinstance(op, ArgMax) and source is not None
    rank, axis = len(source.shape), op.axis % len(source.shape)
    last = state.is_last(source)
    place = TO_LAST[rank].index(axis) if last else axis
    whole = _with_ones(node, source, (axis,))
    y = state.b(QArgMax(place, True), state.form(source, last), name=node.name)
    state.put(whole, y, last)
    if op.keepdims:
        state.put(node.output, y, last)
    else:
        _dropped(state, node, state.form(whole, False), node.output, axis == 0)


@lowers(TopK)
def top_k(state: Lowering, node: Node) -> None:
    """The integers themselves; among equals, the first."""
    made: Any = state.b(node.op, state.x(node, last=False), name=node.name)
    for value, result in zip(node.outputs, made, strict=True):
        state.put(value, result)
