"""Convolutions, matrix products, normalisations, softmax."""

from __future__ import annotations

import numpy as np

from ...graph import Node
from ...ops.conv import Conv, ConvTranspose
from ...ops.linear import Einsum, Linear, Matmul
from ...ops.norm import BatchNorm, LayerNorm
from ...ops.softmax import LogSoftmax, Softmax
from ...types import DTYPES
from .exporter import Export, exports


@exports(Conv)
def conv(ex: Export, node: Node) -> str:
    """The same op."""
    op, w = node.op, node.inputs[1]
    assert isinstance(op, Conv) and w is not None
    stride, padding, dilation = op.geometry(len(w.shape) - 2)
    inputs = (ex.x(node), ex.x(node, 1), ex.x(node, 2))
    return ex(
        "Conv", *inputs, kernel_shape=w.shape[2:], strides=stride, pads=padding, dilations=dilation, group=op.groups
    )


@exports(ConvTranspose)
def conv_transpose(ex: Export, node: Node) -> str:
    """The same op."""
    assert isinstance(node.op, ConvTranspose) and node.inputs[1] is not None
    return transposed(ex, node.op, ex.x(node), ex.x(node, 1), ex.x(node, 2), node.inputs[1].shape[2:])


def transposed(ex: Export, op: ConvTranspose, x: str, w: str, bias: str, kernel: tuple[int, ...]) -> str:
    """Output padding that ONNX does not allow (below 0, or a stride and more) is made by a Pad, which may also cut."""
    rank = len(kernel)
    stride, padding, dilation, extra = op.geometry(rank)
    shape = {"kernel_shape": kernel, "strides": stride, "dilations": dilation, "group": op.groups}
    if all(0 <= e < s for e, s in zip(extra, stride)):
        return ex("ConvTranspose", x, w, bias, pads=padding, output_padding=extra, **shape)
    full = ex("ConvTranspose", x, w, pads=(0,) * 2 * rank, **shape)
    ends = (e - p for e, p in zip(extra, padding[rank:]))
    y = ex("Pad", full, ex.ints(0, 0, *(-p for p in padding[:rank]), 0, 0, *ends))
    return ex("Add", y, ex("Reshape", bias, ex.ints(-1, *[1] * rank))) if bias else y


@exports(Linear)
def linear(ex: Export, node: Node) -> str:
    """Gemm for a matrix, else a product with the turned weights."""
    x, w = node.inputs[0], ex.x(node, 1)
    assert x is not None
    if len(x.shape) == 2:
        return ex("Gemm", ex.x(node), w, ex.x(node, 2), transB=1)
    y = ex("MatMul", ex.x(node), ex("Transpose", w, perm=(1, 0)))
    return ex("Add", y, ex.x(node, 2)) if ex.x(node, 2) else y


@exports(Matmul)
def matmul(ex: Export, node: Node) -> str:
    """The same op."""
    return ex("MatMul", ex.x(node), ex.x(node, 1))


@exports(Einsum)
def einsum(ex: Export, node: Node) -> str:
    """The same op."""
    assert isinstance(node.op, Einsum)
    return ex("Einsum", ex.x(node), ex.x(node, 1), equation=node.op.equation)


@exports(BatchNorm)
def batch_norm(ex: Export, node: Node) -> str:
    """The same op; ONNX's momentum is what is kept, ours what is taken in."""
    assert isinstance(node.op, BatchNorm)
    inputs = (ex.x(node, i) for i in range(5))
    return ex("BatchNormalization", *inputs, epsilon=node.op.epsilon, momentum=1 - node.op.momentum)


@exports(LayerNorm)
def layer_norm(ex: Export, node: Node) -> str:
    """The same op; ONNX wants a scale."""
    op, x = node.op, node.inputs[0]
    assert isinstance(op, LayerNorm) and x is not None
    scale = ex.x(node, 1) or ex.constant(np.ones(x.shape[-op.dims :], DTYPES[x.dtype]), hint="scale")
    return ex("LayerNormalization", ex.x(node), scale, ex.x(node, 2), axis=-op.dims, epsilon=op.epsilon)


@exports(Softmax, LogSoftmax)
def softmax(ex: Export, node: Node) -> str:
    """The same op."""
    assert isinstance(node.op, (Softmax, LogSoftmax))
    return ex(type(node.op).__name__, ex.x(node), axis=node.op.axis)
