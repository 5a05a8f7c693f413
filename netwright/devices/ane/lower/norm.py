"""Normalisations along the last axis, safe in fp16.

Squares of fp16 numbers overflow from 256 on, and lose their digits below 2^-7; a fixed scale such as 1/16 (Orion 2026,
section 12) mends the first only. Here each position is divided by its largest magnitude m first: with z = x / m,

    x / sqrt(mean x^2 + eps) = z / sqrt(mean z^2 + eps / m^2)

where mean z^2 is at least 1/C. m is held at 2^-8 or above: below that eps decides, and eps / m^2 stays representable.
"""

from __future__ import annotations

from typing import Any

from netwright.graph import Node, Value

from .lowering import Lowering
from .registry import lowers

SMALLEST = 2.0**-8


def _normalised(lowering: Lowering, node: Node, x: str, axis: int, epsilon: float) -> str:
    """x over its root mean square along `axis`."""
    w, name = lowering.write, node.name
    largest = w.op("reduce_max", f"{name}_largest", x=w.op("abs", f"{name}_abs", x=x), axes=[axis], keep_dims=True)
    inverse = w.op("pow", f"{name}_scale", x=w.op("maximum", f"{name}_m", x=largest, y=SMALLEST), y=-1.0)
    z = w.op("mul", f"{name}_z", x=x, y=inverse)
    mean = w.op("reduce_mean", f"{name}_mean", x=w.op("mul", f"{name}_square", x=z, y=z), axes=[axis], keep_dims=True)
    # (inverse * sqrt(eps))^2, so that a small eps is not lost before it is multiplied
    root = w.op("mul", f"{name}_root", x=inverse, y=float(epsilon**0.5))
    power = w.op("add", f"{name}_power", x=mean, y=w.op("mul", f"{name}_eps", x=root, y=root))
    lowering.note("R20", name, "squares are taken of x over its largest magnitude")
    return w.op("mul", f"{name}_unit", x=z, y=w.op("pow", f"{name}_over", x=power, y=-0.5))


def _affine(lowering: Lowering, node: Node, made: str, axis: int, rank: int, *given: Value | None) -> str:
    for op, value in zip(("mul", "add"), given):
        if value is not None:
            shape = tuple(value.type.size if i == axis else 1 for i in range(rank))
            y = lowering.want(value, tuple(range(len(value.shape))), shape)
            made = lowering.write.op(op, f"{node.name}_{op}", x=made, y=y)
    return made


@lowers("rms_norm")
def rms_norm(lowering: Lowering, node: Node) -> None:
    """x / sqrt(mean x^2 + eps), times a scale."""
    op: Any = node.op
    x, scale = (*node.inputs, None)[:2]
    assert x is not None
    held, axis = lowering.held(x), lowering.axis(x, -1)
    if axis is None:
        raise lowering.fail(node, "along an axis of one element")
    made = _normalised(lowering, node, held.name, axis, op.epsilon)
    lowering.bind(node.output, _affine(lowering, node, made, axis, len(held.shape), scale), held.order)


@lowers("layer_norm")
def layer_norm(lowering: Lowering, node: Node) -> None:
    """The same of x less its mean, times a scale, plus a bias."""
    op: Any = node.op
    x, scale, bias = (*node.inputs, None, None)[:3]
    assert x is not None
    if op.dims != 1:
        raise lowering.fail(node, f"over {op.dims} axes; one is supported")
    w, held, axis = lowering.write, lowering.held(x), lowering.axis(x, -1)
    if axis is None:
        raise lowering.fail(node, "along an axis of one element")
    average = w.op("reduce_mean", f"{node.name}_average", x=held.name, axes=[axis], keep_dims=True)
    centred = w.op("sub", f"{node.name}_centred", x=held.name, y=average)
    made = _normalised(lowering, node, centred, axis, op.epsilon)
    lowering.bind(node.output, _affine(lowering, node, made, axis, len(held.shape), scale, bias), held.order)
