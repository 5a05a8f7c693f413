"""Pooling."""

from __future__ import annotations

from netwright.graph import Node
from netwright.graph.ops.int8.pool import QAveragePool, QMaxPool

from ..source import Body, Writer, emits
from .layers import each_sample


@emits(QMaxPool, QAveragePool)
def pool(writer: Writer, node: Node) -> Body:
    op, x, y = node.op, node.inputs[0], node.output
    assert isinstance(op, (QMaxPool, QAveragePool)) and x is not None
    shape = {
        "h": x.shape[1],
        "w": x.shape[2],
        "c": x.shape[3],
        "oh": y.shape[1],
        "ow": y.shape[2],
        "kh": op.kernel[0],
        "kw": op.kernel[1],
        "sh": op.stride[0],
        "sw": op.stride[1],
        "top": op.padding[0],
        "left": op.padding[1],
        "low": op.low,
        "high": op.high,
        "offset": op.offset if isinstance(op, QAveragePool) else 0,
    }
    fields = ", ".join(f".{k} = {v}" for k, v in shape.items())
    kernel = "nw_max_pool" if isinstance(op, QMaxPool) else "nw_average_pool"
    call = each_sample(node, f"{kernel}(x0, y0, s);")
    return Body(f"    const nw_pool_shape s = {{{fields}}};\n{call}", ("pool.h",))
