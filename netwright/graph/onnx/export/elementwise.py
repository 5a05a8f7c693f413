"""Element by element: one ONNX op each, or two."""

from __future__ import annotations

from ...graph import Node
from ...op import Op
from ...ops import activation, binary, compare, unary
from .exporter import Export, exports

_SAME: dict[type[Op], str] = {
    unary.Neg: "Neg",
    unary.Abs: "Abs",
    unary.Sign: "Sign",
    unary.Floor: "Floor",
    unary.Ceil: "Ceil",
    unary.Round: "Round",
    unary.Exp: "Exp",
    unary.Log: "Log",
    unary.Sqrt: "Sqrt",
    unary.Reciprocal: "Reciprocal",
    unary.Sin: "Sin",
    unary.Cos: "Cos",
    unary.Tanh: "Tanh",
    unary.Sigmoid: "Sigmoid",
    unary.Softplus: "Softplus",
    unary.Erf: "Erf",
    unary.Relu: "Relu",
    unary.LogicalNot: "Not",
    binary.Add: "Add",
    binary.Sub: "Sub",
    binary.Mul: "Mul",
    binary.Div: "Div",
    binary.Pow: "Pow",
    binary.Maximum: "Max",
    binary.Minimum: "Min",
    compare.Equal: "Equal",
    compare.Less: "Less",
    compare.LessEqual: "LessOrEqual",
    compare.Greater: "Greater",
    compare.GreaterEqual: "GreaterOrEqual",
    compare.And: "And",
    compare.Or: "Or",
    compare.Where: "Where",
    activation.HardSwish: "HardSwish",
}


@exports(*_SAME)
def same(ex: Export, node: Node) -> str:
    """ONNX has the op under another name."""
    return ex(_SAME[type(node.op)], *(ex.x(node, i) for i in range(len(node.inputs))))


@exports(unary.Rsqrt)
def rsqrt(ex: Export, node: Node) -> str:
    """1 / sqrt(x)."""
    return ex("Reciprocal", ex("Sqrt", ex.x(node)))


@exports(unary.LeakyRelu)
def leaky_relu(ex: Export, node: Node) -> str:
    """The slope is an attribute."""
    assert isinstance(node.op, unary.LeakyRelu)
    return ex("LeakyRelu", ex.x(node), alpha=node.op.alpha)


@exports(unary.HardSigmoid)
def hard_sigmoid(ex: Export, node: Node) -> str:
    """Slope and offset are attributes."""
    assert isinstance(node.op, unary.HardSigmoid)
    return ex("HardSigmoid", ex.x(node), alpha=node.op.alpha, beta=node.op.beta)


@exports(unary.Clip)
def clip(ex: Export, node: Node) -> str:
    """Infinite limits are left out."""
    op, dtype = node.op, node.output.dtype
    assert isinstance(op, unary.Clip)
    return clipped(ex, ex.x(node), op.low, op.high, dtype)


@exports(activation.Relu6)
def relu6(ex: Export, node: Node) -> str:
    """A clip."""
    return clipped(ex, ex.x(node), 0.0, 6.0, node.output.dtype)


@exports(activation.Gelu)
def gelu(ex: Export, node: Node) -> str | None:
    """An op of its own from opset 20."""
    assert isinstance(node.op, activation.Gelu)
    if ex.opset < 20:
        return None
    return ex("Gelu", ex.x(node), approximate="tanh" if node.op.approximate else "none")


@exports(unary.Spike)
def spike(ex: Export, node: Node) -> str:
    """A comparison, as a number."""
    zero = ex.constant(0.0, node.output.dtype)
    return cast(ex, ex("GreaterOrEqual", ex.x(node), zero), node.output.dtype)


def clipped(ex: Export, x: str, low: float, high: float, dtype: str) -> str:
    """min(max(x, low), high)."""
    bottom = ex.constant(low, dtype) if low > -float("inf") else ""
    top = ex.constant(high, dtype) if high < float("inf") else ""
    return ex("Clip", x, bottom, top) if bottom or top else x


def cast(ex: Export, x: str, dtype: str) -> str:
    """x as another dtype."""
    from ...types import DTYPES

    return ex("Cast", x, to=int(ex.onnx.helper.np_dtype_to_tensor_dtype(DTYPES[dtype])))
