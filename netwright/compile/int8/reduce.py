"""Reductions: means and maxima over space, the place of the largest."""

from __future__ import annotations

from netwright.errors import UserError
from netwright.graph import Node, Value
from netwright.graph.ops.int8.reduce import QArgMax, QMean
from netwright.graph.ops.pool import GlobalMaxPool
from netwright.graph.ops.reduce import ArgMax, ReduceMax, ReduceMean
from netwright.graph.ops.shape import Reshape

from .lowering import Lowering, lowers
from .shapes import global_pool, place_of_axis


def _need_space(node: Node) -> int:
    """The rank of the input. Raises UserError unless the axes are all of space and nothing else."""
    op, source = node.op, node.inputs[0]
    assert isinstance(op, (ReduceMean, ReduceMax)) and source is not None
    rank = len(source.shape)
    if rank not in (3, 4) or op.normal_axes(rank) != tuple(range(2, rank)):
        raise UserError(f"{node.name}: int8 {op.name} is over the spatial dimensions only, not {op.axes}")
    return rank


@lowers(ReduceMean)
def mean(state: Lowering, node: Node) -> Value:
    """In the result's own range, which is narrower than the image's (a global average pool keeps the image's)."""
    rank, op = _need_space(node), node.op
    assert isinstance(op, ReduceMean)
    x = state.x(node)
    image = x if rank == 4 else state.b(Reshape((0, 1, *x.shape[1:])), x, name=f"{node.name}.image")
    fused = state.fuse(node)
    out = state.quant(fused.output)
    q = QMean((1, 2), op.keepdims and rank == 4, x.type.quant, out, **state.limits(fused.clamp, out))  # type: ignore[arg-type]
    y = state.b(q, image, name=node.name)
    if op.keepdims and rank == 3:
        y = state.b(Reshape((0, 1, -1)), y, name=f"{node.name}.row")
    return state.finish(fused, y)


@lowers(ReduceMax)
def largest(state: Lowering, node: Node) -> Value:
    """One max pool over everything."""
    _need_space(node)
    op = node.op
    assert isinstance(op, ReduceMax)
    pooled = global_pool(state, Node(GlobalMaxPool(), node.inputs, node.outputs))
    return pooled if op.keepdims else state.b(Reshape((0, -1)), pooled, name=f"{node.name}.flat")


@lowers(ArgMax)
def arg_max(state: Lowering, node: Node) -> Value:
    """Along the axis where it lies channels last; what is left is put in channels-last order of its own rank."""
    op, source = node.op, node.inputs[0]
    assert isinstance(op, ArgMax) and source is not None
    rank = len(source.shape)
    y = state.b(QArgMax(place_of_axis(op.axis, rank), True), state.x(node), name=node.name)
    if op.keepdims:
        return y
    shape = node.output.shape
    kept = (0, *shape[1:]) if op.axis % rank else shape  # any number of samples, unless they are what is reduced
    y = state.b(Reshape(kept), state.first(y, rank), name=f"{node.name}.flat")
    return state.last(y, len(shape))
