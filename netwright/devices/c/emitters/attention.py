"""Attention a row of scores at a time."""

from __future__ import annotations

import numpy as np

from netwright.graph import Node
from netwright.graph.ops.int8.attention import QAttention
from netwright.graph.ops.int8.fixed_point import FIXED32
from netwright.graph.ops.int8.softmax import DIFFERENCE_BITS, QSoftmax

from ..choice import POWERS
from ..source import Body, Writer, emits, scratch


@scratch(QAttention)
def row_bytes(node: Node) -> int:
    """One row of softmax on 16 bits, in which its scores lie first."""
    keys = node.inputs[1]
    assert keys is not None
    return 2 * keys.shape[1]


@emits(QAttention)
def attention(writer: Writer, node: Node) -> Body:
    op, (q, k, v) = node.op, node.inputs
    assert isinstance(op, QAttention) and q is not None and k is not None and v is not None
    first, softmax, second = op.products()
    table = powers(softmax)
    (m1, s1), (m2, s2) = first.constants(), second.constants()
    fields = {
        "tokens": q.shape[1], "keys": k.shape[1], "heads": op.heads, "width": op.width, "depth": op.depth,
        "q_step": q.shape[2], "k_step": k.shape[2], "v_step": v.shape[2],
        "q_zero": op.q.zero, "k_zero": op.k.zero, "v_zero": op.v.zero,
        "score_multiplier": m1, "score_shift": s1, "score_zero": op.scores.zero,
        "multiplier": m2, "shift": s2, "zero": op.out.zero,
    }  # fmt: skip
    shape = ", ".join(f".{name} = {value}" for name, value in fields.items())
    operands, size = writer.operands(node)
    name = writer.constant(f"{node.name}_powers", table)
    places = [f"{operand} + {column}" if column else operand for operand, column in zip(operands, op.columns)]
    start, end = "nw_attention(", f", scratch, {name}, &s);"
    call = start + ", ".join((*places, "y0")) + end
    if q.shape[0] != 1:
        sizes = (v.type.size // q.shape[0] for v in (q, k, v, node.output))
        moved = [f"{place} + n * {size}" for place, size in zip((*places, "y0"), sizes)]
        call = f"for (int32_t n = 0; n < {q.shape[0]}; n++)\n        {start}{', '.join(moved)}{end}"
    body = f"    const nw_attention_shape s = {{{shape}}};\n    {call}"
    return Body(body, ("attention.h",), size + table.nbytes)


def powers(softmax: QSoftmax) -> np.ndarray:
    """e^-d int32 in fixed point for d = 0, 1, ... below the largest score; zero where softmax takes it for that."""
    multiplier, shift, least = softmax.constants()
    difference = -np.arange(POWERS, dtype=np.int64)
    kept = difference >= least
    scaled = FIXED32.product(np.where(kept, difference, 0) << shift, np.int64(multiplier))
    return np.where(kept, FIXED32.exp_of_negative(scaled, DIFFERENCE_BITS), 0).astype(np.int32)
