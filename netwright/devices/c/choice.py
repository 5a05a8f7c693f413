"""Which kernel a convolution gets: asked by the emitters, the memory plan and the cost models alike."""

from __future__ import annotations

from netwright.graph import Node, by_signature
from netwright.graph.ops.front_end.log_mel import QLogMel
from netwright.graph.ops.int8.conv import QConv

TALLEST = 8  # NW_TALLEST of depthwise.h
SHAPE_BYTES = 80  # nw_conv_shape of conv.h, a constant of every convolution
POWERS = 256  # of e in attention's table: one for each distance between two scores


def is_depthwise(node: Node) -> bool:
    op, x = node.op, node.inputs[0]
    assert isinstance(op, QConv) and x is not None
    return op.groups > 1 and op.groups == x.shape[3] == node.output.shape[3]


def by_channel(node: Node) -> bool:
    """Whether a depthwise convolution runs channel by channel (see depthwise.h)."""
    op, w = node.op, node.inputs[1]
    assert isinstance(op, QConv) and w is not None
    plain = op.stride in ((1, 1), (2, 2)) and op.dilation == (1, 1) and op.w_zero == 0
    return plain and is_depthwise(node) and max(w.shape[1:3]) <= TALLEST


def by_columns(node: Node) -> bool:
    """Whether columns are the better rows for it: fewer places are left over at the end of fours. With a stride, a
    column's results would lie over columns that are still to be read."""
    op, x, y = node.op, node.inputs[0], node.output
    assert isinstance(op, QConv) and x is not None
    return op.stride == (1, 1) and -(-y.shape[1] // 4) * y.shape[2] < -(-y.shape[2] // 4) * y.shape[1]


@by_signature
def kernel(node: Node) -> str | None:
    """The name of the kernel that layers share, of which a program has one copy; None for a layer with its own code."""
    op, w = node.op, node.inputs[1] if len(node.inputs) > 1 else None
    if isinstance(op, QLogMel):
        return "nw_log_mel"
    if not isinstance(op, QConv) or w is None:
        return None
    if op.groups == 1:
        return "nw_conv"
    if not is_depthwise(node):
        return "nw_conv_grouped"
    ends = "_clamped" if (op.low, op.high) != (-128, 127) else ""
    if not by_channel(node):
        return f"nw_depthwise{ends or '_plain'}"
    kh, kw = w.shape[2:0:-1] if by_columns(node) else w.shape[1:3]
    return f"nw_depthwise_{kh}x{kw}_{op.stride[0]}{ends}"


def stream_bytes(weights: tuple[int, ...]) -> int:
    """Bytes of the constants of a convolution of one group with weights [O, Kh, Kw, C], as emitters.layers.stream packs
    them."""
    o, kh, kw, c = weights
    groups = kh * -(-kw * c // 4)
    return o // 2 * (20 + 8 * groups) + o % 2 * (12 + 4 * groups)


def linear_bytes(weights: tuple[int, ...]) -> int:
    """Bytes of the constants of a linear layer with weights [O, I]: rows filled up to fours, three numbers each."""
    outputs, inputs = weights
    return outputs * (-(-inputs // 4) * 4 + 9)
