"""Attention spelled out (R6), grouped key heads, and rotary position embedding without concat (R1).

Heads lie as [1, H, D, S], a reading of the [1, H D, 1, S] that the projections make; products take them transposed
where they must, so nothing is moved.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from netwright.graph import Node, Value

from .linear import pointwise
from .lowering import Lowering
from .registry import lowers

MASKED = -1e4  # finite in fp16, and e^-10000 is 0
_HEADS = (0, 2, 1)  # of [H, S, D]: memory order H, D, S


def _scores(lowering: Lowering, node: Node, q: str, k: str, scale: float, mask: str | None) -> str:
    """q and k [1, H, D, S] -> softmax over keys of [1, H, S, S']."""
    w, name = lowering.write, node.name
    # the scale goes onto the queries, so that a product stays small (R20)
    scaled = w.op("mul", f"{name}_scaled", x=q, y=scale)
    scores = w.op("matmul", f"{name}_scores", transpose_x=True, transpose_y=False, x=scaled, y=k)
    if mask is not None:
        scores = w.op("add", f"{name}_masked", x=scores, y=mask)
    return w.op("softmax", f"{name}_softmax", x=scores, axis=-1)


def repeated(lowering: Lowering, name: str, x: str, times: int) -> str:
    """Key heads [1, G, D, S], each `times` times: [1, G times, D, S]. Exact: they are multiplied by ones."""
    _, groups, width, length = lowering.write.types[x].shape
    ones = lowering.write.weight("ones", (1, times, 1, 1), lambda: np.ones(times, np.float32), ("ones", times))
    column = lowering.reshape(x, (groups, 1, width, length))
    spread = lowering.write.op("mul", f"{name}_repeated", x=column, y=ones)
    return lowering.reshape(spread, (1, groups * times, width, length))


@lowers("causal_attention")
def causal_attention(lowering: Lowering, node: Node) -> None:
    """q [H, T, D], k and v [G, T, D] from position 0 -> [H, T, D]."""
    op: Any = node.op
    q, k, v, *start = node.inputs
    assert q is not None and k is not None and v is not None
    if start and start[0] is not None:
        raise lowering.fail(node, "over a cache; leave that to the processor, between programs A and B")
    (heads, length, width), groups = q.shape, k.shape[0]
    query, key, value = (lowering.want(t, _HEADS, (1, *(t.shape[a] for a in _HEADS))) for t in (q, k, v))
    if heads != groups:
        key, value = (repeated(lowering, n, t, heads // groups) for n, t in ((k.name, key), (v.name, value)))
    mask = lowering.write.weight(
        f"causal_{length}", (1, 1, length, length),
        lambda: np.triu(np.full((length, length), MASKED, np.float32), 1), ("causal", length),
    )
    lowering.note("R6", node.name, "attention spelled out, with its mask as a constant")
    p = _scores(lowering, node, query, key, op.scale or 1 / math.sqrt(width), mask)
    made = lowering.write.op("matmul", node.name, transpose_x=False, transpose_y=True, x=value, y=p)
    lowering.bind(node.output, made, _HEADS)


@lowers("attention")
def attention(lowering: Lowering, node: Node) -> None:
    """q [.., T, D], k [.., S, D], v [.., S, E], optional mask, of at most four axes -> [.., T, E]."""
    op: Any = node.op
    q, k, v, mask = (*node.inputs, None)[:4]
    assert q is not None and k is not None and v is not None
    rank = len(q.shape)
    if rank > 4 or any(len(t.shape) != rank or t.shape[:-2] != q.shape[:-2] for t in (k, v)):
        raise lowering.fail(node, f"of {list(q.shape)}, {list(k.shape)} and {list(v.shape)}")
    order = (*range(rank - 2), rank - 1, rank - 2)
    names = []
    for t in (q, k, v):
        sizes = tuple(t.shape[a] for a in order)
        names.append(lowering.want(t, order, (1,) * (4 - rank) + sizes))
    added = _mask(lowering, mask) if mask is not None else None
    p = _scores(lowering, node, names[0], names[1], op.scale or 1 / math.sqrt(q.shape[-1]), added)
    lowering.note("R6", node.name, "attention spelled out")
    made = lowering.write.op("matmul", node.name, transpose_x=False, transpose_y=True, x=names[2], y=p)
    lowering.bind(node.output, made, order)


def _mask(lowering: Lowering, mask: Value) -> str:
    shape = (*(1,) * (4 - len(mask.shape)), *mask.shape)
    if not lowering.is_parameter(mask):
        return lowering.want(mask, range(len(mask.shape)), shape)
    read = lowering.reader(mask)
    # -inf in a row without keys would be NaN
    return lowering.write.weight(mask.name, shape, lambda: np.maximum(read(), MASKED), (mask, "mask"))


def _quarter_turn(heads: int, width: int) -> np.ndarray:
    """[heads width, width]: in each head, channel i < D/2 becomes -channel i + D/2, and that becomes channel i."""
    half = width // 2
    one = np.zeros((width, width), np.float32)
    one[np.arange(half), np.arange(half) + half] = -1
    one[np.arange(half) + half, np.arange(half)] = 1
    return np.tile(one, (heads, 1))


@lowers("rope")
def rope(lowering: Lowering, node: Node) -> None:
    """x [H, S, D], cosine and sine [S, D/2]: x cos + rot(x) sin, rot by a constant convolution (section 12)."""
    x, cosine, sine = node.inputs
    assert x is not None and cosine is not None and sine is not None
    if len(x.shape) != 3:
        raise lowering.fail(node, f"of {list(x.shape)}, expected [heads, positions, channels]")
    if not (lowering.is_parameter(cosine) and lowering.is_parameter(sine)):
        raise lowering.fail(node, "its tables must be constants")
    heads, length, width = x.shape
    given = lowering.want(x, _HEADS, (1, heads, width, length))
    flat = lowering.reshape(given, (1, heads * width, 1, length))
    turned = pointwise(
        lowering, flat, f"{node.name}_turned", (heads * width, width), lambda: _quarter_turn(heads, width),
        ("turn", heads, width), groups=heads,
    )
    lowering.note("R1", node.name, "halves exchanged by a convolution with 0, 1 and -1")
    parts, around = [], lowering.reshape(turned, (1, heads, width, length))
    for what, part, table in (("cos", given, cosine), ("sin", around, sine)):
        name = lowering.write.weight(table.name, (1, 1, width, length), _table(lowering, table), (table, "rope"))
        parts.append(lowering.write.op("mul", f"{node.name}_{what}", x=part, y=name))
    made = lowering.write.op("add", node.name, x=parts[0], y=parts[1])
    lowering.bind(node.output, made, _HEADS)


def _table(lowering: Lowering, table: Value) -> Any:
    read = lowering.reader(table)
    return lambda: np.tile(read().T, (2, 1))
