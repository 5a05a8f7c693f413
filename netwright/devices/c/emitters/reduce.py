"""Means, sums and extremes over axes, and the place of the largest."""

from __future__ import annotations

import math

from netwright.graph import Node
from netwright.graph.ops.int8.reduce import QArgMax, QExtreme, QMean, QSum

from ..choice import MEAN_BYTES, block
from ..source import Body, Writer, emits
from .elementwise import index, loops


def _scattered(op: QMean | QExtreme, shape: tuple[int, ...], start: str, step: str, end: str) -> str:
    """Loops where they are not: over what stays, then over what goes."""
    plain = [math.prod(shape[i + 1 :]) for i in range(len(shape))]
    axes = {a % len(shape) for a in op.axes}
    kept = tuple(1 if a in axes else n for a, n in enumerate(shape))
    gone = tuple(n if a in axes else 1 for a, n in enumerate(shape))
    steps, running = [], 1
    for n in reversed(kept):
        steps.append(running)
        running *= n
    place = index(plain, shape)
    first = " + ".join(f"i{a} * {plain[a]}" for a, n in enumerate(kept) if n != 1) or "0"
    inner = loops(gone, step.replace("@", f"x0[{place}]")).replace("\n", "\n    ")
    made = index(list(reversed(steps)), kept)
    body = f"{{ {start.replace('@', f'x0[{first}]')}\n{inner}\n        y0[{made}] = {end}; }}"
    return loops(kept, body)


@emits(QMean, QSum)
def mean(writer: Writer, node: Node) -> Body:
    op, x = node.op, node.inputs[0]
    assert isinstance(op, QMean) and x is not None
    count, sizes = op.count(x.shape), block(op, x.shape)
    multiplier, shift = op.constants(count)
    ends = f"{multiplier}, {shift}, {op.out.zero}, {op.low}, {op.high}"
    if sizes is None:
        end = f"nw_finish(sum - {count * op.x.zero}, {ends})"
        return Body(_scattered(op, x.shape, "int32_t sum = 0;", "sum += @;", end), ("mean.h",))
    shape = f"    static const nw_mean_shape s = {{{', '.join(map(str, sizes))}, {op.x.zero}, {ends}}};"
    return Body(f"{shape}\n    nw_mean(x0, y0, &s);", ("mean.h",), MEAN_BYTES)


@emits(QExtreme)
def extreme(writer: Writer, node: Node) -> Body:
    op, x = node.op, node.inputs[0]
    assert isinstance(op, QExtreme) and x is not None
    sizes = block(op, x.shape)
    if sizes is None:
        sign = ">" if op.largest else "<"
        body = _scattered(op, x.shape, "int8_t best = @;", f"best = @ {sign} best ? @ : best;", "best")
        return Body(body, ("extreme.h",))
    return Body(f"    nw_extreme(x0, y0, {', '.join(map(str, sizes))}, {int(op.largest)});", ("extreme.h",))


@emits(QArgMax)
def arg_max(writer: Writer, node: Node) -> Body:
    op, x = node.op, node.inputs[0]
    assert isinstance(op, QArgMax) and x is not None
    axis = op.axis % len(x.shape)
    outer, n, inner = math.prod(x.shape[:axis]), x.shape[axis], math.prod(x.shape[axis + 1 :])
    return Body(f"    nw_arg_max(x0, y0, {outer}, {n}, {inner});", ("arg_max.h",))
