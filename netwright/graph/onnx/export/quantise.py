"""Between dtypes, and between reals and integers."""

from __future__ import annotations

import numpy as np

from ...graph import Node
from ...ops.quantise import Cast, Dequantise, FakeQuantise, Quantise
from ...types import Quant
from .elementwise import cast
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
    """DequantizeLinear with one scale."""
    return ex("DequantizeLinear", x, ex.constant(np.float32(quant.scale)), ex.constant(quant.zero, dtype))


def to_integers(ex: Export, x: str, quant: Quant, dtype: str = "int8") -> str:
    """QuantizeLinear with one scale."""
    return ex("QuantizeLinear", x, ex.constant(np.float32(quant.scale)), ex.constant(quant.zero, dtype))
