"""Activations that the engine has not as one op, and softmax."""

from __future__ import annotations

import math
from typing import Any

from netwright.graph import Node

from .elementwise import mapped
from .lowering import Lowering
from .registry import lowers


@lowers("silu")
def silu(lowering: Lowering, node: Node) -> None:
    """x sigmoid(x)"""
    w = lowering.write
    mapped(lowering, node, lambda x: w.op("mul", node.name, x=x, y=w.op("sigmoid", f"{node.name}_gate", x=x)))


@lowers("gelu")
def gelu(lowering: Lowering, node: Node) -> None:
    """The op where the profile has it, else 0.5 x (1 + tanh(0.7979 (x + 0.044715 x^3))) (R10)."""
    w, name = lowering.write, node.name
    op: Any = node.op
    if lowering.profile.allows("gelu"):
        mode = "TANH_APPROXIMATION" if op.approximate else "EXACT"
        mapped(lowering, node, lambda x: w.op("gelu", name, x=x, mode=mode))
        return
    lowering.note("R10", name, "gelu spelled out in its tanh form"
                  + ("" if op.approximate else " (within 5e-4 of the exact one)"))

    def spelled(x: str) -> str:
        cube = w.op("mul", f"{name}_cube", x=w.op("mul", f"{name}_square", x=x, y=x), y=x)
        bent = w.op("add", f"{name}_bent", x=x, y=w.op("mul", f"{name}_small", x=cube, y=0.044715))
        curve = w.op("tanh", f"{name}_curve", x=w.op("mul", f"{name}_inner", x=bent, y=math.sqrt(2 / math.pi)))
        half = w.op("mul", f"{name}_half", x=x, y=0.5)
        return w.op("mul", name, x=half, y=w.op("add", f"{name}_gate", x=curve, y=1.0))

    mapped(lowering, node, spelled)


@lowers("softmax")
def softmax(lowering: Lowering, node: Node) -> None:
    op: Any = node.op
    (x,) = node.inputs
    assert x is not None
    axis = lowering.axis(x, op.axis)
    if axis is None:
        raise lowering.fail(node, "along an axis of one element")
    mapped(lowering, node, lambda v: lowering.write.op("softmax", node.name, x=v, axis=axis))
