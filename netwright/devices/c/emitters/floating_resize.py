"""Changing resolution on float32."""

from __future__ import annotations

import numpy as np

from netwright.graph import Node
from netwright.graph.ops.resize import Resize

from ..source import Body, Writer, emits
from .floating_layers import planar


@emits(Resize)
def resize(writer: Writer, node: Node) -> Body:
    """Tables of rows, and for linear interpolation of the weight of the second of two neighbours."""
    op, x = node.op, node.inputs[0]
    assert isinstance(op, Resize) and x is not None
    (h, w), (oh, ow) = planar(x.shape[2:], 1), planar(op.size, 1)
    tables: list[str] = []
    size = 0
    for name, given, wanted in (("row", h, oh), ("column", w, ow)):
        if op.mode == "nearest":
            parts = {"": op.rows(given, wanted).astype(np.int32)}
        else:
            at = np.clip(op.positions(given, wanted), 0, given - 1)
            low = np.floor(at).astype(np.int32)
            parts = {"": low, "_next": np.minimum(low + 1, given - 1), "_weight": (at - low).astype(np.float32)}
        for end, array in parts.items():
            array = array.astype(np.int32) if array.dtype.kind == "i" else array
            tables.append(writer.constant(f"{node.name}_{name}{end}", array))
            size += array.nbytes
    head = (
        f"    for (int32_t p = 0; p < {x.shape[0] * x.shape[1]}; p++, x0 += {h * w})\n"
        f"        for (int32_t i = 0; i < {oh}; i++)\n            for (int32_t j = 0; j < {ow}; j++)"
    )
    if op.mode == "nearest":
        return Body(f"{head}\n                *y0++ = x0[{tables[0]}[i] * {w} + {tables[1]}[j]];", (), size)
    r, r2, a, c, c2, b = tables
    return Body(
        f"{head} {{\n"
        f"                const float *top = x0 + {r}[i] * {w}, *low = x0 + {r2}[i] * {w};\n"
        f"                const float left = top[{c}[j]] + {a}[i] * (low[{c}[j]] - top[{c}[j]]);\n"
        f"                const float right = top[{c2}[j]] + {a}[i] * (low[{c2}[j]] - top[{c2}[j]]);\n"
        f"                *y0++ = left + {b}[j] * (right - left);\n"
        "            }",
        (),
        size,
    )
