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
from ...ops.int8.matmul import QMatmul
from ...ops.int8.pool import QAveragePool, QMaxPool
from ...ops.int8.resize import QResizeBilinear
from ...types import Quant
from .elementwise import clipped
from .exporter import Export, exports
from .layers import transposed
from .quantise import finish, to_reals

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
    return finish(ex, ex("Transpose", y, perm=_LAST), op.out, op.low, op.high)


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
    kernels = _dequantised(ex, node, kernels, 1)
    y = transposed(ex, op.in_reals(), x, kernels, _bias(ex, node, op.x), w.shape[1:3])
    return finish(ex, ex("Transpose", y, perm=_LAST), op.out, op.low, op.high)


@exports(QLinear)
def q_linear(ex: Export, node: Node) -> str:
    """DequantizeLinear, Gemm, Clip, QuantizeLinear."""
    op = node.op
    assert isinstance(op, QLinear)
    weights = _weights(ex, node, ex.x(node, 1))
    y = ex("Gemm", to_reals(ex, ex.x(node), op.x), weights, _bias(ex, node, op.x), transB=1)
    return finish(ex, y, op.out, op.low, op.high)


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
    return finish(ex, ex("Transpose", y, perm=_LAST), quant, op.low, op.high)


def _weights(ex: Export, node: Node, weights: str) -> str:
    """One scale for each index of axis 0."""
    return _dequantised(ex, node, weights, 0)


def _dequantised(ex: Export, node: Node, weights: str, axis: int) -> str:
    op, scale = node.op, node.inputs[2]
    assert isinstance(op, (QConv, QLinear, QConvTranspose)) and scale is not None
    zeros = ex.constant(np.full(scale.shape, op.w_zero, np.int8)) if op.w_zero else ""
    return ex("DequantizeLinear", weights, ex.x(node, 2), zeros, axis=axis)


def _bias(ex: Export, node: Node, x: Quant) -> str:
    """int32 with scale x.scale * w_scale, one an output channel."""
    scales = ex.array(node, 2)
    step = np.float32(x.scale)
    if scales is not None:
        scale = ex.constant(scales * step, "float32", hint="bias_scale")
    else:
        scale = ex("Mul", ex.x(node, 2), ex.constant(step))
    return ex("DequantizeLinear", ex.x(node, 3), scale, axis=0)


@exports(QMatmul)
def q_matmul(ex: Export, node: Node) -> str:
    """DequantizeLinear of both, MatMul, QuantizeLinear."""
    op = node.op
    assert isinstance(op, QMatmul)
    y = ex("MatMul", to_reals(ex, ex.x(node), op.x), to_reals(ex, ex.x(node, 1), op.y))
    return finish(ex, y, op.out)


@exports(QResizeBilinear)
def q_resize(ex: Export, node: Node) -> str:
    """Resize of reals, channels first."""
    op, x = node.op, node.inputs[0]
    assert isinstance(op, QResizeBilinear) and x is not None
    quant = x.type.quant or Quant(1.0, 0)
    real = ex("Transpose", to_reals(ex, ex.x(node), quant), perm=_FIRST)
    sizes = ex.ints(x.shape[0], x.shape[3], *op.size)
    mode = "align_corners" if op.align_corners else "half_pixel" if op.half_pixel else "asymmetric"
    y = ex("Resize", real, "", "", sizes, mode="linear", coordinate_transformation_mode=mode)
    return finish(ex, ex("Transpose", y, perm=_LAST), quant)
