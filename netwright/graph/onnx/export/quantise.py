"""Between dtypes, and between reals and integers."""

from __future__ import annotations

import numpy as np

from ...graph import Node
from ...ops.quantise import Cast, Dequantise, FakeQuantise, Quantise
from ...types import Quant
from .elementwise import cast, clipped
from .exporter import Export, exports


@exports(Cast)
def change(ex: Export, node: Node) -> str:
    """The same op."""
    return cast(ex, ex.x(node), node.output.dtype)


@exports(Quantise)
def quantise(ex: Export, node: Node) -> str:
    """QuantizeLinear rounds halves to even where ours rounds them away from zero: one step at most."""
    assert isinstance(node.op, Quantise)
    x = ex.x(node) if node.inputs[0].dtype == "float32" else cast(ex, ex.x(node), "float32")  # type: ignore[union-attr]
    return to_integers(ex, x, node.op.out, node.op.dtype)


@exports(Dequantise)
def dequantise(ex: Export, node: Node) -> str:
    """The same op."""
    assert isinstance(node.op, Dequantise) and node.inputs[0] is not None
    return to_reals(ex, ex.x(node), node.op.x, node.inputs[0].dtype)


@exports(FakeQuantise)
def fake_quantise(ex: Export, node: Node) -> str:
    """Spelt out, since the range may be computed."""
    op, dtype = node.op, node.output.dtype
    assert isinstance(op, FakeQuantise)
    low, high, zero = ex.x(node, 1), ex.x(node, 2), ex.constant(0.0, dtype)
    levels = 2**op.bits - 1
    if op.symmetric:
        top = levels // 2
        bottom, span, steps = -top, ex("Max", ex("Abs", low), ex("Abs", high)), float(top)
    else:
        bottom, top, steps = 0, levels, float(levels)
        low, high = ex("Min", low, zero), ex("Max", high, zero)
        span = ex("Sub", high, low)
    scale = ex("Div", span, ex.constant(steps, dtype))
    scale = ex("Where", ex("Greater", scale, zero), scale, ex.constant(1.0, dtype))
    shift = zero if op.symmetric else ex("Round", ex("Div", ex("Neg", low), scale))
    rounded = ex("Add", ex("Round", ex("Div", ex.x(node), scale)), shift)
    kept = ex("Clip", rounded, ex.constant(float(bottom), dtype), ex.constant(float(top), dtype))
    return ex("Mul", ex("Sub", kept, shift), scale)


def to_reals(ex: Export, x: str, quant: Quant, dtype: str = "int8") -> str:
    """DequantizeLinear with one scale; spelt out for the types that it takes in new opsets only."""
    if dtype not in ("int8", "uint8"):
        steps = ex("Sub", cast(ex, x, "float32"), ex.constant(np.float32(quant.zero)))
        return ex("Mul", steps, ex.constant(np.float32(quant.scale)))
    return ex("DequantizeLinear", x, ex.constant(np.float32(quant.scale)), ex.constant(quant.zero, dtype))


def to_integers(ex: Export, x: str, quant: Quant, dtype: str = "int8") -> str:
    """QuantizeLinear with one scale; spelt out for the types that it takes in new opsets only."""
    if dtype not in ("int8", "uint8"):
        info = np.iinfo(dtype)
        steps = ex("Round", ex("Div", cast(ex, x, "float64"), ex.constant(quant.scale, "float64")))
        moved = ex("Add", steps, ex.constant(quant.zero, "float64"))
        return cast(ex, clipped(ex, moved, float(info.min), float(info.max), "float64"), dtype)
    return ex("QuantizeLinear", x, ex.constant(np.float32(quant.scale)), ex.constant(quant.zero, dtype))


def finish(ex: Export, y: str, out: Quant, low: int = -128, high: int = 127) -> str:
    """The clamp of an int8 result, in reals, and QuantizeLinear."""
    bottom = (low - out.zero) * out.scale if low > -128 else -float("inf")
    top = (high - out.zero) * out.scale if high < 127 else float("inf")
    return to_integers(ex, clipped(ex, y, bottom, top, "float32"), out)
