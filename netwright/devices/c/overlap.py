"""How far apart a result and its dying input must lie, by the order in which a kernel reads and writes.

Pixels are computed in order; what is still to be read begins at the window of the next one. Both grow along straight
lines between the places where borders cut windows off, so the widest difference is at one of a few pixels.
"""

from __future__ import annotations

import math

from netwright.compile.memory import Overlap
from netwright.graph import Node, by_signature
from netwright.graph.ops.front_end.log_mel import QLogMel
from netwright.graph.ops.front_end.normalise import QNormalise
from netwright.graph.ops.int8.attention import QAttention
from netwright.graph.ops.int8.conv import QConv, QLinear
from netwright.graph.ops.int8.feed_forward import QFeedForward
from netwright.graph.ops.int8.norm import QGroupNorm
from netwright.graph.ops.int8.pool import QAveragePool, QMaxPool

from .choice import by_channel


@by_signature
def overlap(node: Node) -> Overlap | None:
    """For the kernels that read ahead of what they write; None for all others."""
    op, x, y = node.op, node.inputs[0], node.output
    if isinstance(op, QConv) and x is not None:
        if x.shape[0] != 1:
            return None
        if by_channel(node):
            smaller = y.shape[1] <= x.shape[1] and y.shape[2] <= x.shape[2]
            return Overlap(same=True) if smaller else None
        w = node.inputs[1]
        if op.groups > 1 or w is None:
            return None
        reach = tuple((k - 1) * d + 1 for k, d in zip(w.shape[1:3], op.dilation))
        return Overlap(*_both(x.shape, y.shape, reach, op.stride, op.padding[:2]))
    if isinstance(op, (QMaxPool, QAveragePool)) and x is not None and x.shape[0] == 1:
        return Overlap(_ahead(x.shape, y.shape, op.stride, op.padding[:2]))
    if isinstance(op, QLogMel) and y.shape[0] == 1:  # a frame is read before its features are written
        return Overlap(2 * max(0, (y.shape[1] - 1) * (y.shape[2] - op.hop)))
    if isinstance(op, QLinear) and x is not None:  # a row is read until all of its results are written
        (rows, features), made = x.shape, y.shape[1]
        return Overlap(max(made, rows * made - (rows - 1) * features))
    if isinstance(op, QFeedForward) and x is not None:  # a row is read before its results are written
        return Overlap(max(0, (x.shape[0] - 1) * (y.shape[1] - x.shape[1])))
    if isinstance(op, QAttention) and x is not None:  # a head's results lie over its query
        return Overlap(0) if op.columns[0] == 0 and op.width == op.depth and x.shape == y.shape else None
    if isinstance(op, QGroupNorm) and x is not None:  # sums are taken first; groups lie one after the other
        in_order = op.groups == 1 or math.prod(x.shape[1:-1]) == 1
        return Overlap(0) if in_order else Overlap(same=True)
    if isinstance(op, QNormalise):
        return Overlap(0)
    return None


def _both(
    x: tuple[int, ...], y: tuple[int, ...], reach: tuple[int, ...], stride: tuple[int, int], before: tuple[int, ...]
) -> tuple[int, int]:
    """Forward and backward distance of a convolution, which gathers a pixel's whole window before it writes."""
    forward = _ahead(x, y, stride, before)
    behind = tuple((o - 1) * s + r - b - n for o, s, r, b, n in zip(y[1:3], stride, reach, before, x[1:3]))
    turned = _ahead(x, y, stride, behind)  # the image turned round: last pixels first
    size = x[1] * x[2] * x[3] - y[1] * y[2] * y[3]
    return max(0, forward), max(0, turned + size)


def _ahead(x: tuple[int, ...], y: tuple[int, ...], stride: tuple[int, int], before: tuple[int, ...]) -> int:
    """Bytes that the result must begin before the input so that no pixel is written over one still to be read.

    When a pixel is written, its window has been read; in a pool each channel of it, before the next is looked at.
    """
    _, _, width, channels = x
    _, oh, ow, outputs = y
    if stride == (1, 1) and before == (0, 0) and (oh, ow) == (x[1], width):  # a pixel reads nothing before its own
        return max(0, (oh * ow - 1) * (outputs - channels))

    def first_read(oy: int, ox: int) -> int:
        """The lowest byte that pixel (oy, ox) or a later one reads."""
        if ox >= ow:
            oy, ox = oy + 1, 0
        if oy >= oh:
            return x[1] * width * channels
        row, below = (max(0, r * stride[0] - before[0]) for r in (oy, oy + 1))
        own = row * width + max(0, ox * stride[1] - before[1])
        return channels * (own if oy + 1 >= oh else min(own, below * width))

    rows = {0, oh - 1, oh - 2, *_around(before[0], stride[0])}
    columns = {0, ow - 1, ow - 2, *_around(before[1], stride[1])}
    worst = 0
    for oy in rows:
        for ox in columns:
            if 0 <= oy < oh and 0 <= ox < ow and (oy, ox) != (oh - 1, ow - 1):
                worst = max(worst, (oy * ow + ox + 1) * outputs - first_read(oy, ox + 1))
    return worst


def _around(before: int, stride: int) -> range:
    """The places about which windows stop being cut off."""
    middle = before // stride
    return range(middle - 2, middle + 3)
