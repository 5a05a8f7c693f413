"""Float inputs to int8, and int8 to float outputs."""

from __future__ import annotations

from netwright.errors import UserError
from netwright.graph import Node
from netwright.graph.ops.quantise import Dequantise, Quantise

from ..source import Body, Writer, emits


def _float(scale: float) -> str:
    """A float32 as an exact C literal."""
    return f"{float(scale).hex()}f"


@emits(Quantise)
def quantise(writer: Writer, node: Node) -> Body:
    op, x = node.op, node.inputs[0]
    assert isinstance(op, Quantise) and x is not None
    if (x.dtype, op.dtype) != ("float32", "int8") or not -128 <= op.out.zero <= 127:
        raise UserError(
            f"{node.name}: C quantises float32 to int8 with a zero point of int8, not {x.dtype} to {op.dtype} "
            f"with zero point {op.out.zero}"
        )
    kernel = "nw_quantise_even" if op.even else "nw_quantise"
    return Body(f"    {kernel}(x0, y0, {x.type.size}, {_float(op.out.scale)}, {op.out.zero});", ("ends.h",))


@emits(Dequantise)
def dequantise(writer: Writer, node: Node) -> Body:
    op, x = node.op, node.inputs[0]
    assert isinstance(op, Dequantise) and x is not None
    if x.dtype != "int8":
        raise UserError(f"{node.name}: C dequantises int8, not {x.dtype}")
    return Body(f"    nw_dequantise(x0, y0, {x.type.size}, {_float(op.x.scale)}, {op.x.zero});", ("ends.h",))
