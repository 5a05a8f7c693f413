"""Bilinear resizing of int8 images."""

from __future__ import annotations

import numpy as np

from netwright.graph import Node
from netwright.graph.ops.int8.resize import QResizeBilinear

from ..source import Body, Writer, emits


@emits(QResizeBilinear)
def resize(writer: Writer, node: Node) -> Body:
    op, x = node.op, node.inputs[0]
    assert isinstance(op, QResizeBilinear) and x is not None
    n, h, w, c = x.shape
    tables, size = [], 0
    for part, old, new in (("rows", h, op.size[0]), ("columns", w, op.size[1])):
        array = np.stack(op.places(old, new), 1).astype(np.int16)
        tables.append(writer.constant(f"{node.name}_{part}", array))
        size += array.nbytes
    fields = f".w = {w}, .c = {c}, .oh = {op.size[0]}, .ow = {op.size[1]}"
    made = op.size[0] * op.size[1] * c
    return Body(
        f"    const nw_resize_shape s = {{{fields}}};\n    for (int32_t n = 0; n < {n}; n++)\n"
        f"        nw_resize_bilinear(x0 + n * {h * w * c}, y0 + n * {made}, {tables[0]}, {tables[1]}, s);",
        ("resize.h",),
        size,
    )
