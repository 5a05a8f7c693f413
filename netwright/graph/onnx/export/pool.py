"""Pooling and changing resolution."""

from __future__ import annotations

import math

from ...graph import Node
from ...ops.pool import AveragePool, GlobalAveragePool, GlobalMaxPool, MaxPool
from ...ops.resize import Resize
from .exporter import Export, exports


@exports(MaxPool)
def max_pool(ex: Export, node: Node) -> str | tuple[str, ...]:
    """ONNX counts positions through the whole tensor, we through each channel."""
    op, x = node.op, node.inputs[0]
    assert isinstance(op, MaxPool) and x is not None
    stride, padding = op.geometry()
    shape = {"kernel_shape": op.kernel, "strides": stride, "pads": padding}
    if not op.indices:
        return ex("MaxPool", ex.x(node), **shape)
    y, where = ex.many("MaxPool", ex.x(node), outputs=2, **shape)
    return y, ex("Mod", where, ex.constant(math.prod(x.shape[2:]), "int64"))


@exports(AveragePool)
def average_pool(ex: Export, node: Node) -> str:
    """The same op."""
    op = node.op
    assert isinstance(op, AveragePool)
    stride, padding = op.geometry()
    shape = {"kernel_shape": op.kernel, "strides": stride, "pads": padding}
    return ex("AveragePool", ex.x(node), **shape, count_include_pad=int(op.count_padding))


@exports(GlobalAveragePool, GlobalMaxPool)
def global_pool(ex: Export, node: Node) -> str:
    """The same op."""
    return ex(type(node.op).__name__, ex.x(node))


@exports(Resize)
def resize(ex: Export, node: Node) -> str:
    """The same op, except where its float32 coordinates could round to another neighbour: then a gather an axis.

    A linear resize of [N, C, W] passes through [N, C, 1, W], for which runtimes have a kernel.
    """
    op, x = node.op, node.inputs[0]
    assert isinstance(op, Resize) and x is not None
    given = x.shape[2:]
    if op.mode == "nearest" and not all(_exact(op, g, w) for g, w in zip(given, op.size)):
        y = ex.x(node)
        for axis, (g, w) in enumerate(zip(given, op.size), start=2):
            y = ex("Gather", y, ex.constant(op.rows(g, w), hint="rows"), axis=axis)
        return y
    row = len(op.size) == 1
    image = ex("Unsqueeze", ex.x(node), ex.ints(2)) if row else ex.x(node)
    sizes = ex.ints(*x.shape[:2], *[1] * row, *op.size)
    nearest = "floor" if op.coordinates == "asymmetric" else "round_prefer_floor"
    y = ex(
        "Resize", image, "", "", sizes,
        mode=op.mode, coordinate_transformation_mode=op.coordinates, nearest_mode=nearest,
    )  # fmt: skip
    return ex("Squeeze", y, ex.ints(2)) if row else y


def _exact(op: Resize, given: int, wanted: int) -> bool:
    """Growing a whole number of times and halving compute the same neighbour in any precision."""
    if op.coordinates == "align_corners":
        return given == wanted
    ratio = given // wanted
    return wanted % given == 0 or (given % wanted == 0 and ratio & (ratio - 1) == 0)
