"""Moving data: most of it is another reading of the same bytes."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from netwright.graph import Node, Value

from .layout import framed, permuted, reshaped
from .linear import pointwise
from .lowering import Lowering
from .registry import lowers


@lowers("reshape")
def reshape(lowering: Lowering, node: Node) -> None:
    (x,) = node.inputs
    assert x is not None
    held = lowering.held(x)
    order = reshaped(x.shape, held.order, node.output.shape)
    name = held.name
    if order is None:
        order = tuple(range(len(node.output.shape)))
        name = lowering.want(x, range(len(x.shape)))
    shape = framed(permuted(node.output.shape, order))
    lowering.bind(node.output, lowering.reshape(name, shape), order)


@lowers("transpose")
def transpose(lowering: Lowering, node: Node) -> None:
    """Nothing is moved: the axes get other names."""
    op: Any = node.op
    (x,) = node.inputs
    assert x is not None
    held = lowering.held(x)
    lowering.bind(node.output, held.name, tuple(op.permutation.index(a) for a in held.order), held.shape)


def _sliced(
    lowering: Lowering, name: str, x: Value, result: Value, starts: dict[int, int], steps: dict[int, int]
) -> None:
    held = lowering.held(x)
    begin, end, stride = [0] * len(held.shape), list(held.shape), [1] * len(held.shape)
    for axis, start in starts.items():
        place = lowering.axis(x, axis)
        if place is not None:
            step = steps.get(axis, 1)
            begin[place] = start
            end[place] = start + (result.shape[axis] - 1) * step + 1
            stride[place] = step
    more = {"stride": stride} if any(s != 1 for s in stride) else {}
    made = lowering.write.op("slice_by_index", name, begin=begin, end=end, **more, x=held.name)
    lowering.bind(result, made, held.order)


@lowers("slice")
def slice_(lowering: Lowering, node: Node) -> None:
    op: Any = node.op
    (x,) = node.inputs
    assert x is not None
    steps = op.steps or (1,) * len(op.starts)
    _sliced(lowering, node.name, x, node.output, dict(enumerate(op.starts)), dict(enumerate(steps)))


@lowers("split")
def split(lowering: Lowering, node: Node) -> None:
    """A slice for each piece."""
    op: Any = node.op
    (x,) = node.inputs
    assert x is not None
    start, axis = 0, op.axis % len(x.shape)
    for piece, size in zip(node.outputs, op.sizes, strict=True):
        _sliced(lowering, piece.name, x, piece, {axis: start}, {})
        start += size


@lowers("concat")
def concat(lowering: Lowering, node: Node) -> None:
    """The op where the profile has it for so many operands; else each part is put in its place by a convolution with
    0 and 1, and the parts are added (R1), which is exact."""
    op: Any = node.op
    values = [v for v in node.inputs if v is not None]
    rank = len(node.output.shape)
    axis = op.axis % rank
    if lowering.profile.allows("concat") and len(values) <= lowering.profile.bounds.concat_operands:
        order = lowering.held(values[0]).order
        shapes = [_along(permuted(v.shape, order), order, axis) for v in values]
        names = tuple(lowering.want(v, order, s) for v, s in zip(values, shapes))
        made = lowering.write.op("concat", node.name, values=names, axis=1, interleave=False)
        shape = framed(permuted(node.output.shape, order))
        lowering.bind(node.output, lowering.reshape(made, shape), order)
        return
    lowering.note("R1", node.name, "each part put in its place by a convolution with 0 and 1, and added")
    order = (axis, *(a for a in range(rank) if a != axis))
    total, before, made = node.output.shape[axis], 0, ""
    for index, value in enumerate(values):
        own = value.shape[axis]
        part = lowering.want(value, order, (1, own, 1, value.type.size // own))
        name = f"{node.name}_part"
        put = pointwise(lowering, part, name, (total, own), _placing(total, own, before), ("put", total, own, before))
        last = index == len(values) - 1
        made = lowering.write.op("add", node.name if last else f"{node.name}_sum", x=made, y=put) if made else put
        before += own
    shape = framed(permuted(node.output.shape, order))
    lowering.bind(node.output, lowering.reshape(made, shape), order)


def _along(sizes: tuple[int, ...], order: tuple[int, ...], axis: int) -> tuple[int, ...]:
    """Sizes in memory order as [before, along, 1, after]."""
    place = order.index(axis)
    return (prod(sizes[:place]), sizes[place], 1, prod(sizes[place + 1 :]))


def _placing(total: int, own: int, before: int) -> Any:
    def read() -> np.ndarray:
        matrix = np.zeros((total, own), np.float32)
        matrix[before + np.arange(own), np.arange(own)] = 1
        return matrix

    return read


@lowers("pad")
def pad(lowering: Lowering, node: Node) -> None:
    op: Any = node.op
    (x,) = node.inputs
    assert x is not None
    if op.mode != "constant":
        raise lowering.fail(node, f"mode {op.mode}; constant is supported")
    rank = len(x.shape)
    natural = tuple(range(rank))
    front = max(0, 4 - rank)
    shape = (*(1,) * front, *x.shape)
    pairs = [p for a in range(rank) for p in (op.pads[a], op.pads[rank + a])]
    made = lowering.write.op(
        "pad", node.name, x=lowering.want(x, natural, shape), pad=[*(0,) * 2 * front, *pairs], mode="constant",
        constant_val=float(op.value),
    )
    lowering.bind(node.output, made, natural)


@lowers("expand")
def expand(lowering: Lowering, node: Node) -> None:
    """Times ones, which is exact; a number is a constant of ones times it."""
    (x,) = node.inputs
    assert x is not None
    rank = len(node.output.shape)
    padded = (*(1,) * (rank - len(x.shape)), *x.shape)
    held = lowering.held(x)
    order = (*range(rank - len(x.shape)), *(a + rank - len(x.shape) for a in held.order))
    shape = framed(permuted(node.output.shape, order))
    axes = dict(zip((a for a in order if node.output.shape[a] != 1), (i for i, n in enumerate(shape) if n != 1)))
    own, ones = [1] * len(shape), [1] * len(shape)
    for axis, place in axes.items():
        own[place] = padded[axis]
        ones[place] = 1 if padded[axis] == node.output.shape[axis] else node.output.shape[axis]
    given = lowering.reshape(held.name, tuple(own))
    if ones == [1] * len(shape):
        lowering.bind(node.output, lowering.reshape(given, shape), order)
        return
    many = tuple(ones)
    spread = lowering.write.weight("ones", many, lambda: np.ones(many, np.float32), ("ones", many))
    lowering.bind(node.output, lowering.write.op("mul", node.name, x=given, y=spread), order)
