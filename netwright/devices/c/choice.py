"""Which kernel a convolution gets: asked by the emitters, the memory plan and the cost models alike.

A depthwise convolution may run channel by channel along rows (`rows`) or columns (`columns`), or by four channels at a
time (`fours`). Rows or columns are the rule; `tuning.py` measures which of them a layer is quickest with.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from netwright.graph import Node, by_signature
from netwright.graph.ops.int8.attention import QAttention
from netwright.graph.ops.int8.conv import QConv
from netwright.graph.ops.int8.elementwise import QAdd
from netwright.graph.ops.int8.reduce import QExtreme, QMean

TALLEST = 8  # NW_TALLEST of depthwise.h
SHAPE_BYTES = 80  # nw_conv_shape of conv.h, a constant of every convolution
SUMS_BYTES = 40  # nw_sums_shape of elementwise.h
MEAN_BYTES = 36  # nw_mean_shape of mean.h
POWERS = 256  # of e in attention's table: one for each distance between two scores


@dataclass(frozen=True)
class _Chosen(QConv):
    """A convolution whose kernel was chosen; nothing else is different."""

    kernel: str = ""


def with_kernel(op: QConv, kernel: str) -> QConv:
    """The op that runs on this kernel, one of `variants`."""
    return _Chosen(**{f.name: getattr(op, f.name) for f in fields(QConv)}, kernel=kernel)


ChosenConv = _Chosen  # its own name keeps it out of the table of ops: no file holds one


@by_signature
def variants(node: Node) -> tuple[str, ...]:
    """The kernels that a layer may have, the rule's first; empty where there is one only."""
    if not isinstance(node.op, QConv) or not by_channel(node):
        return ()
    x, w = node.inputs[0], node.inputs[1]
    assert x is not None and w is not None
    along: tuple[str, ...] = ("columns", "rows") if by_columns(node) else ("rows", "columns")
    if not _may_turn(node) or (x.shape[1] == x.shape[2] and w.shape[1] == w.shape[2]):
        along = ("rows",)
    return (*along, "fours") if x.shape[3] % 4 == 0 else along if len(along) > 1 else ()


def is_depthwise(node: Node) -> bool:
    op, x = node.op, node.inputs[0]
    assert isinstance(op, QConv) and x is not None
    return op.groups > 1 and op.groups == x.shape[3] == node.output.shape[3]


def by_channel(node: Node) -> bool:
    """Whether a depthwise convolution may run channel by channel (see depthwise.h)."""
    op, w = node.op, node.inputs[1]
    assert isinstance(op, QConv) and w is not None
    plain = op.stride in ((1, 1), (2, 2)) and op.dilation == (1, 1) and op.w_zero == 0
    return plain and is_depthwise(node) and max(w.shape[1:3]) <= TALLEST


def by_fours(node: Node) -> bool:
    """Whether a depthwise convolution runs four channels at a time (see depthwise_fours.h)."""
    return isinstance(node.op, _Chosen) and node.op.kernel == "fours"


def _may_turn(node: Node) -> bool:
    """Whether a column's results lie over no column that is still to be read: not with a stride, nor where rows become
    shorter."""
    op, x, y = node.op, node.inputs[0], node.output
    assert isinstance(op, QConv) and x is not None
    return op.stride == (1, 1) and y.shape[2] == x.shape[2]


def by_columns(node: Node) -> bool:
    """Whether columns are the better rows for it: fewer places are left over at the end of fours."""
    op, y = node.op, node.output
    if isinstance(op, _Chosen):
        return op.kernel == "columns"
    return _may_turn(node) and -(-y.shape[1] // 4) * y.shape[2] < -(-y.shape[2] // 4) * y.shape[1]


def is_plain_sum(node: Node) -> bool:
    """Whether an addition is one of nw_sums: shapes alike, and scales of a usual size."""
    op, x, y = node.op, *node.inputs
    assert isinstance(op, QAdd) and x is not None and y is not None
    first, second, (_, shift) = op.constants()
    return x.shape == y.shape and (1 << 30, 0) in (first, second) and max(-first[1], -second[1]) < 30 and shift < 0


def block(op: QMean | QExtreme, shape: tuple[int, ...]) -> tuple[int, int, int] | None:
    """(outer, n, inner) where the reduced axes are neighbours in memory, dimensions of 1 aside."""
    axes = [a for a in sorted({a % len(shape) for a in op.axes}) if shape[a] != 1]
    if not axes:
        return math.prod(shape), 1, 1
    first, last = axes[0], axes[-1]
    if any(a not in axes and shape[a] != 1 for a in range(first, last + 1)):
        return None
    return math.prod(shape[:first]), math.prod(shape[first : last + 1]), math.prod(shape[last + 1 :])


def is_block_mean(node: Node) -> bool:
    """Whether a mean or sum is one of nw_mean."""
    op, x = node.op, node.inputs[0]
    assert isinstance(op, QMean) and x is not None
    return block(op, x.shape) is not None


def shape_bytes(node: Node) -> int:
    """Bytes of the constants that a layer has whatever its operands: a shared kernel's shape, a table."""
    if isinstance(node.op, QAttention):
        return 4 * POWERS
    if isinstance(node.op, QConv):
        return SHAPE_BYTES
    if isinstance(node.op, QMean):
        return MEAN_BYTES if is_block_mean(node) else 0
    return SUMS_BYTES if isinstance(node.op, QAdd) and is_plain_sum(node) else 0


@by_signature
def kernel(node: Node) -> str | None:
    """The name of the kernel that layers share, of which a program has one copy; None for a layer with its own code."""
    op, w = node.op, node.inputs[1] if len(node.inputs) > 1 else None
    if isinstance(op, QMean):
        return "nw_mean" if is_block_mean(node) else None
    if isinstance(op, QAdd):
        return "nw_sums" if is_plain_sum(node) else None
    if not isinstance(op, QConv) or w is None:
        return None
    if op.groups == 1:
        return "nw_conv"
    if not is_depthwise(node):
        return "nw_conv_grouped"
    ends = "_clamped" if (op.low, op.high) != (-128, 127) else ""
    if not by_channel(node):
        return f"nw_depthwise{ends or '_plain'}"
    if by_fours(node):
        return f"nw_fours_{w.shape[1]}x{w.shape[2]}_{op.stride[0]}{ends}"
    kh, kw = w.shape[2:0:-1] if by_columns(node) else w.shape[1:3]
    return f"nw_depthwise_{kh}x{kw}_{op.stride[0]}{ends}"


def stream_bytes(weights: tuple[int, ...]) -> int:
    """Bytes of the constants of a convolution of one group with weights [O, Kh, Kw, C], as emitters.layers.stream packs
    them, but for biases of more than 24 bits."""
    o, kh, kw, c = weights
    groups = kh * -(-kw * c // 4)
    return o // 2 * (16 + 8 * groups) + o % 2 * (8 + 4 * groups)


def linear_bytes(weights: tuple[int, ...]) -> int:
    """Bytes of the constants of a linear layer with weights [O, I]: rows filled up to fours, three numbers each."""
    outputs, inputs = weights
    return outputs * (-(-inputs // 4) * 4 + 9)
