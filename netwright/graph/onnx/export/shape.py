"""Moving data, and reductions."""

from __future__ import annotations

from ...graph import Node
from ...ops.reduce import ArgMax, ReduceMax, ReduceMean, ReduceMin, ReduceSum, _Reduce
from ...ops.shape import Concat, Expand, Pad, Reshape, Slice, Split, Transpose
from .exporter import Export, exports


@exports(Reshape)
def reshape(ex: Export, node: Node) -> str:
    """The same op, 0 and -1 included."""
    assert isinstance(node.op, Reshape)
    return ex("Reshape", ex.x(node), ex.ints(*node.op.shape))


@exports(Transpose)
def transpose(ex: Export, node: Node) -> str:
    """The same op."""
    assert isinstance(node.op, Transpose)
    return ex("Transpose", ex.x(node), perm=node.op.permutation)


@exports(Expand)
def expand(ex: Export, node: Node) -> str:
    """The same op."""
    assert isinstance(node.op, Expand)
    return ex("Expand", ex.x(node), ex.ints(*node.op.shape))


@exports(Concat)
def concat(ex: Export, node: Node) -> str:
    """The same op."""
    assert isinstance(node.op, Concat)
    return ex("Concat", *(ex.x(node, i) for i in range(len(node.inputs))), axis=node.op.axis)


@exports(Split)
def split(ex: Export, node: Node) -> tuple[str, ...]:
    """The same op."""
    assert isinstance(node.op, Split)
    return ex.many("Split", ex.x(node), ex.ints(*node.op.sizes), outputs=len(node.outputs), axis=node.op.axis)


@exports(Slice)
def cut(ex: Export, node: Node) -> str:
    """All axes named."""
    op = node.op
    assert isinstance(op, Slice)
    rank = len(op.starts)
    if not rank:
        return ex.x(node)
    steps = op.steps or (1,) * rank
    return ex("Slice", ex.x(node), ex.ints(*op.starts), ex.ints(*op.ends), ex.ints(*range(rank)), ex.ints(*steps))


@exports(Pad)
def pad(ex: Export, node: Node) -> str:
    """The same op."""
    op = node.op
    assert isinstance(op, Pad)
    value = ex.constant(op.value, node.output.dtype) if op.mode == "constant" else ""
    return ex("Pad", ex.x(node), ex.ints(*op.pads), value, mode=op.mode)


_REDUCTIONS = {ReduceSum: "ReduceSum", ReduceMean: "ReduceMean", ReduceMax: "ReduceMax", ReduceMin: "ReduceMin"}


@exports(*_REDUCTIONS)
def reduce(ex: Export, node: Node) -> str:
    """Axes are an input from opset 18 on, for sums since 13."""
    op, x = node.op, node.inputs[0]
    assert isinstance(op, _Reduce) and x is not None
    axes = op.normal_axes(len(x.shape))
    kind = _REDUCTIONS[type(op)]
    if not axes:
        return ex("Identity", ex.x(node))
    if ex.opset >= 18 or kind == "ReduceSum":
        return ex(kind, ex.x(node), ex.ints(*axes), keepdims=int(op.keepdims))
    return ex(kind, ex.x(node), axes=axes, keepdims=int(op.keepdims))


@exports(ArgMax)
def arg_max(ex: Export, node: Node) -> str:
    """The first of equals, as is ONNX's default."""
    assert isinstance(node.op, ArgMax)
    return ex("ArgMax", ex.x(node), axis=node.op.axis, keepdims=int(node.op.keepdims))
