"""Means, sums and extremes over axes, and the place of the largest."""

from __future__ import annotations

import math

from netwright.graph import Node
from netwright.graph.ops.int8.reduce import QArgMax, QExtreme, QMean, QSum, _QReduce

from ..source import Body, Writer, emits
from .elementwise import index, loops


def _block(op: _QReduce, shape: tuple[int, ...]) -> tuple[int, int, int] | None:
    """(outer, n, inner) where the reduced axes are neighbours in memory, dimensions of 1 aside."""
    axes = [a for a in sorted({a % len(shape) for a in op.axes}) if shape[a] != 1]
    if not axes:
        return math.prod(shape), 1, 1
    first, last = axes[0], axes[-1]
    if any(a not in axes and shape[a] != 1 for a in range(first, last + 1)):
        return None
    return math.prod(shape[:first]), math.prod(shape[first : last + 1]), math.prod(shape[last + 1 :])


def _scattered(op: _QReduce, shape: tuple[int, ...], start: str, step: str, end: str) -> str:
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
    count, block = op.count(x.shape), _block(op, x.shape)
    multiplier, shift = op.constants(count)
    ends = f"{multiplier}, {shift}, {op.out.zero}, {op.low}, {op.high}"
    if block is None:
        end = f"nw_finish(sum - {count * op.x.zero}, {ends})"
        return Body(_scattered(op, x.shape, "int32_t sum = 0;", "sum += @;", end), ("mean.h",))
    sizes = ", ".join(map(str, block))
    return Body(f"    nw_mean(x0, y0, {sizes}, {op.x.zero}, {ends});", ("mean.h",))


@emits(QExtreme)
def extreme(writer: Writer, node: Node) -> Body:
    op, x = node.op, node.inputs[0]
    assert isinstance(op, QExtreme) and x is not None
    block = _block(op, x.shape)
    if block is None:
        sign = ">" if op.largest else "<"
        body = _scattered(op, x.shape, "int8_t best = @;", f"best = @ {sign} best ? @ : best;", "best")
        return Body(body, ("extreme.h",))
    return Body(f"    nw_extreme(x0, y0, {', '.join(map(str, block))}, {int(op.largest)});", ("extreme.h",))


@emits(QArgMax)
def arg_max(writer: Writer, node: Node) -> Body:
    op, x = node.op, node.inputs[0]
    assert isinstance(op, QArgMax) and x is not None
    axis = op.axis % len(x.shape)
    outer, n, inner = math.prod(x.shape[:axis]), x.shape[axis], math.prod(x.shape[axis + 1 :])
    return Body(f"    nw_arg_max(x0, y0, {outer}, {n}, {inner});", ("arg_max.h",))
