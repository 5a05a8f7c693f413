"""Two operands element by element, and functions of one element."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from netwright.graph import Node, Value

from .layout import framed, places
from .lowering import Lowering
from .registry import lowers

_BINARY = {"add": "add", "sub": "sub", "mul": "mul", "div": "real_div", "maximum": "maximum", "minimum": "minimum",
           "pow": "pow"}
_UNARY: dict[str, tuple[str, dict[str, Any]]] = {
    "relu": ("relu", {}), "relu6": ("relu6", {}), "tanh": ("tanh", {}), "sigmoid": ("sigmoid", {}),
    "exp": ("exp", {}), "abs": ("abs", {}), "sqrt": ("sqrt", {}), "erf": ("erf", {}), "softplus": ("softplus", {}),
    "neg": ("mul", {"y": -1.0}), "rsqrt": ("pow", {"y": -0.5}), "reciprocal": ("pow", {"y": -1.0}),
    "sin": ("sin", {}), "cos": ("cos", {}), "floor": ("floor", {}), "ceil": ("ceil", {}), "sign": ("sign", {}),
}


def joined(lowering: Lowering, op: str, name: str, x: Value, y: Value, result: Value) -> None:
    """`op` of two values that broadcast as in NumPy, in the layout of the larger one."""
    rank = len(result.shape)
    leads = [v for v in (x, y) if not lowering.is_parameter(v)] or [x, y]
    lead = max(leads, key=lambda v: v.type.size)
    held = lowering.held(lead)
    extra = rank - len(lead.shape)
    order = (*range(extra), *(a + extra for a in held.order))
    if (1,) * extra + lead.shape == result.shape:
        shape = held.shape
        axes = {a + extra: place for a, place in places(held, lead.shape).items()}
    else:
        shape = framed(tuple(result.shape[a] for a in order))
        sizes = [i for i, n in enumerate(shape) if n != 1]
        axes = dict(zip((a for a in order if result.shape[a] != 1), sizes, strict=True))
    made = lowering.write.op(
        op, name, x=_aligned(lowering, x, result, order, axes, shape),
        y=_aligned(lowering, y, result, order, axes, shape),
    )
    lowering.bind(result, made, order)


def _aligned(
    lowering: Lowering, value: Value, result: Value, order: tuple[int, ...], axes: dict[int, int],
    shape: tuple[int, ...],
) -> str:
    """An operand in the order of the result, with ones where it is broadcast."""
    padded = len(result.shape) - len(value.shape)
    sizes = (*(1,) * padded, *value.shape)
    own = [1] * len(shape)
    for axis, place in axes.items():
        own[place] = sizes[axis]
    if lowering.is_parameter(value):
        return lowering.parameter(value, order, tuple(own))
    return lowering.want(value, tuple(a - padded for a in order if a >= padded), tuple(own))


@lowers(*_BINARY)
def binary(lowering: Lowering, node: Node) -> None:
    x, y = node.inputs
    assert x is not None and y is not None
    joined(lowering, _BINARY[node.op.name], node.name, x, y, node.output)


def mapped(lowering: Lowering, node: Node, write: Callable[[str], str]) -> None:
    """A function of one element: the result lies as the operand does."""
    (x,) = node.inputs
    assert x is not None
    held = lowering.held(x)
    lowering.bind(node.output, write(held.name), held.order)


@lowers(*_UNARY)
def unary(lowering: Lowering, node: Node) -> None:
    op, more = _UNARY[node.op.name]
    mapped(lowering, node, lambda x: lowering.write.op(op, node.name, x=x, **more))


@lowers("log")
def log(lowering: Lowering, node: Node) -> None:
    mapped(lowering, node, lambda x: lowering.write.op("log", node.name, x=x, epsilon=0.0))


@lowers("leaky_relu")
def leaky_relu(lowering: Lowering, node: Node) -> None:
    mapped(lowering, node, lambda x: lowering.write.op("leaky_relu", node.name, x=x, alpha=float(node.op.alpha)))  # type: ignore[attr-defined]


@lowers("hard_sigmoid")
def hard_sigmoid(lowering: Lowering, node: Node) -> None:
    op: Any = node.op
    mapped(lowering, node, lambda x: lowering.write.op(
        "sigmoid_hard", node.name, x=x, alpha=float(op.alpha), beta=float(op.beta)))


@lowers("clip")
def clip(lowering: Lowering, node: Node) -> None:
    op: Any = node.op
    mapped(lowering, node, lambda x: lowering.write.op(
        "clip", node.name, x=x, alpha=float(max(op.low, -65504.0)), beta=float(min(op.high, 65504.0))))
