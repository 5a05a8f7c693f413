"""The int8 ops as QDQ: integers to reals, the float op, back to integers.

Activations stay [N, H, W, C] between layers, as in the graph; a layer that ONNX knows channels first is turned on both
sides. Weights are dequantised per output channel; biases with scale x.scale * w_scale. The clamp of a fused activation
is a Clip in reals. Results differ from the integer reference by one quantisation step at most.
"""

from __future__ import annotations

import numpy as np

from ...graph import Node
from ...ops.int8.conv import QConv, QLinear
from ...ops.int8.conv_transpose import QConvTranspose
from ...ops.int8.elementwise import QAdd, QLookup, QMul, QRequantise, QSub, _QBinary
from ...ops.int8.pool import QAveragePool, QMaxPool
from ...ops.int8.reduce import QArgMax, QMean
from ...ops.int8.softmax import SOFTMAX_QUANT, QSoftmax
from ...types import Quant
from .elementwise import cast, clipped
from .exporter import Export, exports
from .layers import transposed
from .quantise import to_integers, to_reals

_FIRST, _LAST = (0, 3, 1, 2), (0, 2, 3, 1)


@exports(QConv)
def q_conv(ex: Export, node: Node) -> str:
    """DequantizeLinear, Transpose, Conv, Clip, Transpose, QuantizeLinear."""
    op, w = node.op, node.inputs[1]
    assert isinstance(op, QConv) and w is not None
    x = ex("Transpose", to_reals(ex, ex.x(node), op.x), perm=_FIRST)
    array = ex.array(node, 1)
    if array is not None:
        kernels = ex.constant(array.transpose(_FIRST), hint="weight")
    else:
        kernels = ex("Transpose", ex.x(node, 1), perm=_FIRST)
    y = ex(
        "Conv", x, _weights(ex, node, kernels), _bias(ex, node, op.x),
        kernel_shape=w.shape[1:3], strides=op.stride, pads=op.padding, dilations=op.dilation, group=op.groups,
    )  # fmt: skip
    return _finish(ex, ex("Transpose", y, perm=_LAST), op.out, op.low, op.high)


@exports(QConvTranspose)
def q_conv_transpose(ex: Export, node: Node) -> str:
    """DequantizeLinear, Transpose, ConvTranspose, Clip, Transpose, QuantizeLinear."""
    op, w = node.op, node.inputs[1]
    assert isinstance(op, QConvTranspose) and w is not None
    x = ex("Transpose", to_reals(ex, ex.x(node), op.x), perm=_FIRST)
    array = ex.array(node, 1)
    if array is not None:
        kernels = ex.constant(array.transpose(3, 0, 1, 2), hint="weight")
    else:
        kernels = ex("Transpose", ex.x(node, 1), perm=(3, 0, 1, 2))
    kernels = ex("DequantizeLinear", kernels, ex.x(node, 2), axis=1)
    y = transposed(ex, op.in_reals(), x, kernels, _bias(ex, node, op.x), w.shape[1:3])
    return _finish(ex, ex("Transpose", y, perm=_LAST), op.out, op.low, op.high)


@exports(QLinear)
def q_linear(ex: Export, node: Node) -> str:
    """DequantizeLinear, Gemm, Clip, QuantizeLinear."""
    op = node.op
    assert isinstance(op, QLinear)
    weights = _weights(ex, node, ex.x(node, 1))
    y = ex("Gemm", to_reals(ex, ex.x(node), op.x), weights, _bias(ex, node, op.x), transB=1)
    return _finish(ex, y, op.out, op.low, op.high)


_BINARY = {QAdd: "Add", QSub: "Sub", QMul: "Mul"}


@exports(*_BINARY)
def q_binary(ex: Export, node: Node) -> str:
    """Both operands as reals."""
    op = node.op
    assert isinstance(op, _QBinary)
    y = ex(_BINARY[type(op)], to_reals(ex, ex.x(node), op.x), to_reals(ex, ex.x(node, 1), op.y))  # type: ignore[index]
    return _finish(ex, y, op.out, op.low, op.high)


@exports(QRequantise)
def q_requantise(ex: Export, node: Node) -> str:
    """There and back in another scale."""
    op = node.op
    assert isinstance(op, QRequantise)
    return _finish(ex, to_reals(ex, ex.x(node), op.x), op.out, op.low, op.high)


@exports(QLookup)
def q_lookup(ex: Export, node: Node) -> str:
    """A gather from the table; exact."""
    index = ex("Add", cast(ex, ex.x(node), "int32"), ex.constant(128, "int32"))
    return ex("Gather", ex.x(node, 1), index, axis=0)


@exports(QMaxPool)
def q_max_pool(ex: Export, node: Node) -> str:
    """On the integers themselves; exact."""
    op = node.op
    assert isinstance(op, QMaxPool)
    x = ex("Transpose", ex.x(node), perm=_FIRST)
    y = ex("MaxPool", x, kernel_shape=op.kernel, strides=op.stride, pads=op.padding)
    y = ex("Transpose", y, perm=_LAST)
    return clipped(ex, y, op.low, op.high, "int8") if (op.low, op.high) != (-128, 127) else y


@exports(QAveragePool)
def q_average_pool(ex: Export, node: Node) -> str:
    """Padding does not count."""
    op, x = node.op, node.inputs[0]
    assert isinstance(op, QAveragePool) and x is not None
    quant = x.type.quant or Quant(1.0, 0)
    real = ex("Transpose", to_reals(ex, ex.x(node), quant), perm=_FIRST)
    y = ex("AveragePool", real, kernel_shape=op.kernel, strides=op.stride, pads=op.padding)
    return _finish(ex, ex("Transpose", y, perm=_LAST), quant, op.low, op.high)


@exports(QMean)
def q_mean(ex: Export, node: Node) -> str:
    """ReduceMean of reals; its axes are an input from opset 18 on."""
    op = node.op
    assert isinstance(op, QMean)
    real = to_reals(ex, ex.x(node), op.x)
    if ex.opset >= 18:
        y = ex("ReduceMean", real, ex.ints(1, 2), keepdims=int(op.keepdims))
    else:
        y = ex("ReduceMean", real, axes=(1, 2), keepdims=int(op.keepdims))
    return _finish(ex, y, op.out, op.low, op.high)


@exports(QSoftmax)
def q_softmax(ex: Export, node: Node) -> str:
    """Softmax of reals, to the scale of 1/256 that TFLite fixes."""
    op = node.op
    assert isinstance(op, QSoftmax)
    real = to_reals(ex, ex.x(node), op.x)
    if op.beta != 1.0:
        real = ex("Mul", real, ex.constant(np.float32(op.beta)))
    return to_integers(ex, ex("Softmax", real, axis=-1), SOFTMAX_QUANT)


@exports(QArgMax)
def q_arg_max(ex: Export, node: Node) -> str:
    """On the integers themselves; exact. The first of equals, as is ONNX's default."""
    op = node.op
    assert isinstance(op, QArgMax)
    wide = cast(ex, ex.x(node), "int32")
    return cast(ex, ex("ArgMax", wide, axis=op.axis, keepdims=int(op.keepdims)), "int32")


def _weights(ex: Export, node: Node, weights: str) -> str:
    """Symmetric, one scale for each index of axis 0."""
    return ex("DequantizeLinear", weights, ex.x(node, 2), axis=0)


def _bias(ex: Export, node: Node, x: Quant) -> str:
    """int32 with scale x.scale * w_scale, one an output channel."""
    scales = ex.array(node, 2)
    step = np.float32(x.scale)
    if scales is not None:
        scale = ex.constant(scales * step, "float32", hint="bias_scale")
    else:
        scale = ex("Mul", ex.x(node, 2), ex.constant(step))
    return ex("DequantizeLinear", ex.x(node, 3), scale, axis=0)


def _finish(ex: Export, y: str, out: Quant, low: int, high: int) -> str:
    """The clamp, in reals, and QuantizeLinear."""
    bottom = (low - out.zero) * out.scale if low > -128 else -float("inf")
    top = (high - out.zero) * out.scale if high < 127 else float("inf")
    return to_integers(ex, clipped(ex, y, bottom, top, "float32"), out)
