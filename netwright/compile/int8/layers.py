"""Convolutions, linear layers and stand-alone batch norm."""

from __future__ import annotations

import numpy as np

from netwright.errors import UserError
from netwright.graph import Node, Value
from netwright.graph.ops.conv import Conv, ConvTranspose
from netwright.graph.ops.int8.conv import QConv, QLinear
from netwright.graph.ops.int8.conv_transpose import QConvTranspose
from netwright.graph.ops.linear import Linear
from netwright.graph.ops.norm import BatchNorm
from netwright.graph.ops.shape import Reshape

from .lowering import Lowering, lowers


def _quant(value: Value) -> tuple[float, int]:
    assert value.type.quant is not None
    return value.type.quant


@lowers(Conv)
def conv(state: Lowering, node: Node) -> Value:
    """Weights [O, C/g, Kh, Kw] -> [O, Kh, Kw, C/g]; one spatial dimension becomes a height of 1."""
    op = node.op
    assert isinstance(op, Conv)
    x, weight = state.x(node), node.inputs[1]
    assert weight is not None
    rank = len(weight.shape) - 2
    stride, padding, dilation = op.geometry(rank)
    array = state.graph.constant(weight)
    shape = weight.shape
    if rank == 1:
        stride, dilation = (1, *stride), (1, *dilation)
        padding = (0, padding[0], 0, padding[1])
        shape = (*shape[:2], 1, shape[2])
        array = array.reshape(shape) if array is not None else None
        x = state.b(Reshape((0, 1, *x.shape[1:])), x, name=f"{node.name}.image")
    last = array.transpose(0, 2, 3, 1) if array is not None else None
    fused = state.fuse(node)
    out = state.quant(fused.output)
    w, scale = state.weights(node.name, last, (shape[0], shape[2], shape[3], shape[1]))
    bias = state.bias(node.name, _bias(state, node), x.type.quant, scale)  # type: ignore[arg-type]
    q = QConv(stride, padding, dilation, op.groups, x.type.quant, out, **state.limits(fused.clamp, out))  # type: ignore[arg-type]
    y = state.b(q, x, w, scale, bias, name=node.name)
    if rank == 1:
        y = state.b(Reshape((0, *y.shape[2:])), y, name=f"{node.name}.row")
    return state.finish(fused, y)


@lowers(ConvTranspose)
def conv_transpose(state: Lowering, node: Node) -> Value:
    """Weights [C, O, Kh, Kw] -> [O, Kh, Kw, C]; one spatial dimension becomes a height of 1."""
    op = node.op
    assert isinstance(op, ConvTranspose)
    x, weight = state.x(node), node.inputs[1]
    assert weight is not None
    rank = len(weight.shape) - 2
    stride, padding, dilation, extra = op.geometry(rank)
    if op.groups != 1 or any(d != 1 for d in dilation) or min((*padding, *extra)) < 0:
        raise UserError(
            f"{node.name}: int8 conv_transpose has one group, no dilation and no negative padding, not groups "
            f"{op.groups}, dilation {dilation}, padding {padding}, output padding {extra}"
        )
    array = state.graph.constant(weight)
    if array is None and state.ranges is not None:
        raise UserError(f"{node.name}: the weights of a transposed convolution must be constant to become int8")
    shape = weight.shape
    if rank == 1:
        stride, extra, padding = (1, *stride), (0, *extra), (0, padding[0], 0, padding[1])
        shape = (*shape[:2], 1, shape[2])
        array = array.reshape(shape) if array is not None else None
        x = state.b(Reshape((0, 1, *x.shape[1:])), x, name=f"{node.name}.image")
    last = array.transpose(1, 2, 3, 0) if array is not None else None
    fused = state.fuse(node)
    out = state.quant(fused.output)
    w, scale = state.weights(node.name, last, (shape[1], shape[2], shape[3], shape[0]))
    bias = state.bias(node.name, _bias(state, node), x.type.quant, scale)  # type: ignore[arg-type]
    q = QConvTranspose(stride, padding, extra, x.type.quant, out, **state.limits(fused.clamp, out))  # type: ignore[arg-type]
    y = state.b(q, x, w, scale, bias, name=node.name)
    if rank == 1:
        y = state.b(Reshape((0, *y.shape[2:])), y, name=f"{node.name}.row")
    return state.finish(fused, y)


@lowers(Linear)
def linear(state: Lowering, node: Node) -> Value:
    """Rows of x are samples; columns of the weights follow channels-last order where x was flattened."""
    x, weight = state.x(node), node.inputs[1]
    source = node.inputs[0]
    assert weight is not None and source is not None
    array = state.graph.constant(weight)
    if array is None and state.ranges is not None:
        raise UserError(f"{node.name}: the weights of a linear layer must be constant to become int8")
    array = _channels_last(state, source, array)
    rank = len(source.shape)
    if rank != 2:  # features are the last dimension, which an image or a sequence does not hold last
        x = state.b(Reshape((-1, source.shape[-1])), state.first(x, rank), name=f"{node.name}.rows")
    fused = state.fuse(node)
    out = state.quant(fused.output)
    w, scale = state.weights(node.name, array, weight.shape)
    bias = state.bias(node.name, _bias(state, node), x.type.quant, scale)  # type: ignore[arg-type]
    y = state.b(QLinear(x.type.quant, out, **state.limits(fused.clamp, out)), x, w, scale, bias, name=node.name)  # type: ignore[arg-type]
    if rank != 2:
        y = state.b(Reshape((-1, *node.output.shape[1:])), y, name=f"{node.name}.shape")
        y = state.last(y, rank)
    return state.finish(fused, y)


def _bias(state: Lowering, node: Node) -> np.ndarray | None:
    return state.graph.constant(node.inputs[2]) if len(node.inputs) > 2 else None


def _channels_last(state: Lowering, source: Value, array: np.ndarray | None) -> np.ndarray | None:
    """Weights [O, C * H * W] with their columns in the order of an image that was flattened channels last."""
    before = state.flattened.get(source)
    if before is None or array is None:
        return array
    spatial = tuple(range(2, len(before.shape)))
    return array.reshape(-1, *before.shape[1:]).transpose(0, *spatial, 1).reshape(array.shape)


@lowers(BatchNorm)
def batch_norm(state: Lowering, node: Node) -> Value:
    """A batch norm that nothing could take in: a 1x1 depthwise convolution."""
    x = state.x(node)
    assert isinstance(node.op, BatchNorm)
    parts = [state.graph.constant(v) for v in node.inputs[1:]]
    channels = x.shape[-1]
    factor = shift = None
    if all(p is not None for p in parts):
        scale, offset, mean, variance = parts
        with np.errstate(all="ignore"):  # what is not finite is refused below
            factor = scale / np.sqrt(variance + np.float32(node.op.epsilon))  # type: ignore[operator]
            shift = offset - mean * factor  # type: ignore[operator]
    if not 2 <= len(x.shape) <= 4:
        raise UserError(f"{node.name}: int8 batch_norm has two to four dimensions, not {len(x.shape)}")
    image = x if len(x.shape) == 4 else state.b(Reshape((0, *[1] * (4 - len(x.shape)), *x.shape[1:])), x)
    fused = state.fuse(node)
    out = state.quant(fused.output)
    kernel = factor.reshape(-1, 1, 1, 1) if factor is not None else None
    w, scales = state.weights(node.name, kernel, (channels, 1, 1, 1))
    bias = state.bias(node.name, shift, x.type.quant, scales)  # type: ignore[arg-type]
    q = QConv(groups=channels, x=x.type.quant, out=out, **state.limits(fused.clamp, out))  # type: ignore[arg-type]
    y = state.b(q, image, w, scales, bias, name=node.name)
    if len(x.shape) != 4:
        y = state.b(Reshape((0, *x.shape[1:])), y)
    return state.finish(fused, y)
