"""Linear layers as 1x1 convolutions, and products of two activations."""

from __future__ import annotations

from netwright.graph import Node

from .layout import framed, permuted
from .lowering import Lowering
from .registry import lowers
from .writer import Read

VALID = {"dilations": [1, 1], "groups": 1, "pad": [0, 0, 0, 0], "pad_type": "valid", "strides": [1, 1]}


def pointwise(lowering: Lowering, x: str, name: str, shape: tuple[int, int], read: Read, key: object = None,
              groups: int = 1) -> str:
    """x [1, I, 1, S] by a matrix [O, I / groups], as a 1x1 convolution -> [1, O, 1, S]."""
    weight = lowering.write.weight(f"{name}_w", (*shape, 1, 1), read, key)
    return lowering.write.op("conv", name, **{**VALID, "groups": groups}, weight=weight, x=x)


@lowers("linear")
def linear(lowering: Lowering, node: Node) -> None:
    """x [..., I], w [O, I], bias [O]: conv, then add (R16)."""
    x, w, *rest = node.inputs
    assert x is not None and w is not None
    bias = rest[0] if rest else None
    if not lowering.is_parameter(w):
        raise lowering.fail(node, "its weights must be a parameter")
    given, order = lowering.channels(x)
    out, inner = w.shape
    name = node.name if bias is None else f"{node.name}_conv"
    made = pointwise(lowering, given, name, (out, inner), lowering.reader(w), w)
    if bias is not None:
        lowering.note("R16", node.name, "the bias is added after the convolution")
        added = lowering.want(bias, (0,), (1, out, 1, 1))
        made = lowering.write.op("add", node.name, x=made, y=added)
    shape = framed(permuted(node.output.shape, order))
    made = lowering.reshape(made, shape)
    lowering.bind(node.output, made, order)


@lowers("matmul")
def matmul(lowering: Lowering, node: Node) -> None:
    """[..., M, K] by [..., K, N]; a side that lies the other way round is read transposed, without moving it.

    A parameter [K, N] on the right is a linear layer.
    """
    x, y = node.inputs
    assert x is not None and y is not None
    if lowering.is_parameter(y) and not lowering.is_parameter(x) and len(y.shape) == 2:
        read = lowering.reader(y)
        given, order = lowering.channels(x)
        made = pointwise(lowering, given, node.name, (y.shape[1], y.shape[0]), lambda: read().T, (y, "t"))
        lowering.bind(node.output, lowering.reshape(made, framed(permuted(node.output.shape, order))), order)
        return
    rank = len(node.output.shape)
    names, flips = [], []
    for value in (x, y):
        own = len(value.shape)
        natural = tuple(range(own))
        turned = (*natural[:-2], own - 1, own - 2)
        held = None if lowering.is_parameter(value) else lowering.held(value)
        flip = held is not None and [a for a in held.order if value.shape[a] != 1] == [
            a for a in turned if value.shape[a] != 1] and min(value.shape[-2:]) > 1
        order = turned if flip else natural
        sizes = permuted(value.shape, order)
        batch = (*(1,) * (rank - own), *sizes[:-2])
        names.append(lowering.want(value, order, _four(batch, sizes[-2:], node.output.shape[:-2])))
        flips.append(flip)
    made = lowering.write.op(
        "matmul", node.name, transpose_x=flips[0], transpose_y=flips[1], x=names[0], y=names[1])
    lowering.bind(node.output, made, tuple(range(rank)))


def _four(batch: tuple[int, ...], matrix: tuple[int, ...], result: tuple[int, ...]) -> tuple[int, ...]:
    """Batch axes and a matrix as four axes (or five); one operand's batch may be ones where the result's is not."""
    while len(batch) > 2 and result[0] == 1:
        batch, result = batch[1:], result[1:]
    if len(batch) < 2:
        batch = (*(1,) * (2 - len(batch)), *batch)
    return (*batch, *matrix)


