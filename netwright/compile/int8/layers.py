"""Convolutions and stand-alone batch norm."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from netwright.errors import UserError
from netwright.graph import Node, Value
from netwright.graph.ops.conv import Conv, ConvTranspose
from netwright.graph.ops.int8.conv import QConv
from netwright.graph.ops.int8.conv_transpose import QConvTranspose
from netwright.graph.ops.norm import BatchNorm
from netwright.graph.ops.shape import Reshape

from .lowering import Lowering, lowers

_q_conv = lru_cache(maxsize=4096)(QConv)  # searches make the same ones over and over


def _quant(value: Value) -> tuple[float, int]:
    assert value.type.quant is not None
    return value.type.quant


@lowers(Conv)
def conv(state: Lowering, node: Node) -> None:
    """Weights [O, C/g, Kh, Kw] -> [O, Kh, Kw, C/g]; one spatial dimension becomes a height of 1."""
    op = node.op
    assert isinstance(op, Conv)
    x, weight = state.x(node, last=True), node.inputs[1]
    assert weight is not None
    rank = len(weight.shape) - 2
    stride, padding, dilation = op.geometry(rank)
    array = need_constant(state, node, weight)
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
    bias = state.bias(node.name, constant_bias(state, node), x.type.quant, scale)  # type: ignore[arg-type]
    q = _q_conv(stride, padding, dilation, op.groups, x.type.quant, out, **state.limits(fused.clamp, out))
    y = state.b(q, x, w, scale, bias, name=node.name)
    if rank == 1:
        y = state.b(Reshape((0, *y.shape[2:])), y, name=f"{node.name}.row")
    state.finish(fused, y, last=True)


@lowers(ConvTranspose)
def conv_transpose(state: Lowering, node: Node) -> None:
    """Weights [C, O, Kh, Kw] -> [O, Kh, Kw, C]; one spatial dimension becomes a height of 1."""
    op = node.op
    assert isinstance(op, ConvTranspose)
    x, weight = state.x(node, last=True), node.inputs[1]
    assert weight is not None
    rank = len(weight.shape) - 2
    stride, padding, dilation, extra = op.geometry(rank)
    if any(d != 1 for d in dilation) or min((*padding, *extra)) < 0:
        raise UserError(
            f"{node.name}: int8 conv_transpose has no dilation and no negative padding, not dilation {dilation}, "
            f"padding {padding}, output padding {extra}; resize and convolve instead"
        )
    array = need_constant(state, node, weight)
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
    bias = state.bias(node.name, constant_bias(state, node), x.type.quant, scale)  # type: ignore[arg-type]
    q = QConvTranspose(stride, padding, extra, x.type.quant, out, **state.limits(fused.clamp, out))  # type: ignore[arg-type]
    y = state.b(q, x, w, scale, bias, name=node.name)
    if rank == 1:
        y = state.b(Reshape((0, *y.shape[2:])), y, name=f"{node.name}.row")
    state.finish(fused, y, last=True)


def constant_bias(state: Lowering, node: Node) -> np.ndarray | None:
    """The bias of a layer, if it has one with contents."""
    bias = node.inputs[2] if len(node.inputs) > 2 else None
    if bias is not None and not state.is_constant(bias):
        raise UserError(f"{node.name}: the bias of {node.op.name} must be constant to become int8")
    return state.graph.constant(bias)


def need_constant(state: Lowering, node: Node, weight: Value) -> np.ndarray | None:
    """The contents of a layer's weights, which must be constant; None without contents."""
    if not state.is_constant(weight):
        raise UserError(f"{node.name}: the weights of {node.op.name} must be constant to become int8")
    return state.graph.constant(weight)


@lowers(BatchNorm)
def batch_norm(state: Lowering, node: Node) -> None:
    """A batch norm that nothing could take in: a 1x1 depthwise convolution."""
    x = state.x(node, last=True)
    assert isinstance(node.op, BatchNorm)
    parts = [need_constant(state, node, v) for v in node.inputs[1:] if v is not None]
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
    state.finish(fused, y, last=True)
