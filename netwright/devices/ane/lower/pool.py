"""Pooling."""

from __future__ import annotations

from typing import Any

from netwright.graph import Node

from .conv import image, pads
from .lowering import Lowering
from .registry import lowers


@lowers("max_pool", "average_pool")
def pool(lowering: Lowering, node: Node) -> None:
    op: Any = node.op
    (x,) = node.inputs
    assert x is not None
    if getattr(op, "indices", False):
        raise lowering.fail(node, "gives indices, which the engine does not")
    rank, natural = len(op.kernel), tuple(range(len(x.shape)))
    stride, padding = op.geometry()
    more: dict[str, Any] = {}
    if op.name == "average_pool":
        more["exclude_padding_from_average"] = not op.count_padding
    made = lowering.write.op(
        "max_pool" if op.name == "max_pool" else "avg_pool", node.name, ceil_mode=False, **more,
        kernel_sizes=[*(1,) * (2 - rank), *op.kernel], pad=pads(padding),
        pad_type="custom" if any(padding) else "valid", strides=[*(1,) * (2 - rank), *stride],
        x=lowering.want(x, natural, image(x.shape)),
    )
    lowering.bind(node.output, made, natural)
