"""Convolutions over images and sequences."""

from __future__ import annotations

from typing import Any

from netwright.graph import Node

from .lowering import Lowering
from .registry import lowers


def image(shape: tuple[int, ...]) -> tuple[int, ...]:
    """[N, C, L] as [N, C, 1, L]; an image as it is."""
    return (*shape[:2], 1, shape[2]) if len(shape) == 3 else shape


def pads(padding: tuple[int, ...]) -> list[int]:
    """All begins, then all ends -> begin and end of each of two axes."""
    half = len(padding) // 2
    pairs = [(0, 0)] * (2 - half) + list(zip(padding[:half], padding[half:]))
    return [p for pair in pairs for p in pair]


@lowers("conv")
def conv(lowering: Lowering, node: Node) -> None:
    """x [N, C, (H,) W], w [O, C/groups, (Kh,) Kw]: conv, then add (R16)."""
    op: Any = node.op
    x, w, *rest = node.inputs
    assert x is not None and w is not None
    if not lowering.is_parameter(w):
        raise lowering.fail(node, "its weights must be a parameter")
    rank = len(x.shape) - 2
    stride, padding, dilation = op.geometry(rank)
    bias = rest[0] if rest else None
    natural = tuple(range(len(x.shape)))
    weight = lowering.want(w, tuple(range(len(w.shape))), image(w.shape))
    made = lowering.write.op(
        "conv", node.name if bias is None else f"{node.name}_conv",
        dilations=[*(1,) * (2 - rank), *dilation], groups=op.groups, pad=pads(padding),
        pad_type="custom" if any(padding) else "valid", strides=[*(1,) * (2 - rank), *stride],
        weight=weight, x=lowering.want(x, natural, image(x.shape)),
    )
    if bias is not None:
        lowering.note("R16", node.name, "the bias is added after the convolution")
        made = lowering.write.op("add", node.name, x=made, y=lowering.want(bias, (0,), (1, w.shape[0], 1, 1)))
    lowering.bind(node.output, made, natural)
