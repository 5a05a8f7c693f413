"""Linear layers and matrix products."""

from __future__ import annotations

import numpy as np

from netwright.graph import Node, Value
from netwright.graph.ops.int8.conv import QLinear
from netwright.graph.ops.int8.matmul import QMatmul
from netwright.graph.ops.linear import Linear, Matmul
from netwright.graph.ops.shape import Reshape, Split

from .layers import constant_bias, need_constant
from .layout import SPATIAL, TO_LAST
from .lowering import Lowering, clamp_of, lowers


@lowers(Linear)
def linear(state: Lowering, node: Node) -> None:
    """Rows of x are samples; columns of the weights follow channels-last order where x was flattened."""
    weight, source = node.inputs[1], node.inputs[0]
    assert weight is not None and source is not None
    array = _channels_last(state, source, need_constant(state, node, weight))
    bias = constant_bias(state, node)
    order = _image_order(state, node)
    if order is not None:
        array, bias = (a[order] if a is not None else None for a in (array, bias))
    _rows(state, node, array, weight.shape, bias)


@lowers(Matmul)
def matmul(state: Lowering, node: Node) -> None:
    """By a constant matrix, a linear layer, with a scale for each column; else a product of two activations."""
    x, y = node.inputs
    assert x is not None and y is not None
    if state.has(x) and state.is_constant(y) and len(y.shape) == 2:
        array = state.graph.constant(y)
        _rows(state, node, array.T if array is not None else None, (y.shape[1], y.shape[0]), None)
        return
    out = state.quant(node.output)
    given = [state.x(node, i, last=False) for i in (0, 1)]
    q = QMatmul(given[0].type.quant, given[1].type.quant, out)  # type: ignore[arg-type]
    state.put(node.output, state.b(q, *given, name=node.name))


def _rows(
    state: Lowering, node: Node, array: np.ndarray | None, shape: tuple[int, ...], bias: np.ndarray | None
) -> None:
    """Weights [O, I] on the last axis of x, whose other axes become rows on the way."""
    source = node.inputs[0]
    assert source is not None
    x = state.x(node, last=False)
    if len(x.shape) != 2:
        x = state.b(Reshape((-1, x.shape[-1])), x, name=f"{node.name}.rows")
    fused = state.fuse(node)
    out = state.quant(fused.output)
    w, scale = state.weights(node.name, array, shape)
    b = state.bias(node.name, bias, x.type.quant, scale)  # type: ignore[arg-type]
    y = state.b(QLinear(x.type.quant, out, **state.limits(fused.clamp, out)), x, w, scale, b, name=node.name)  # type: ignore[arg-type]
    if len(node.output.shape) != 2:
        lead = (-1, *source.shape[1:-1]) if len(source.shape) > 1 else ()
        y = state.b(Reshape((*lead, shape[0])), y, name=f"{node.name}.shape")
    state.finish(fused, y)


def _image_order(state: Lowering, node: Node) -> np.ndarray | None:
    """The order of outputs that lie channels last, where they become an image that convolutions read."""
    value = node.output
    reader = state.only_reader(value)
    if reader is not None and clamp_of(reader.op) is not None:
        value, reader = reader.output, state.only_reader(reader.output)
    if reader is None or not isinstance(reader.op, Reshape):
        return None
    shape, readers = reader.output.shape, state.graph.consumers.get(reader.output, ())
    if len(value.shape) != 2 or len(shape) not in TO_LAST or shape[0] != value.shape[0]:
        return None
    if not all(isinstance(n.op, (*SPATIAL, Split)) and n.inputs[0] is reader.output for n in readers):
        return None
    state.unflattened.add(value)
    order = np.arange(value.shape[1]).reshape(shape[1:])
    return order.transpose(*range(1, order.ndim), 0).reshape(-1)


def _channels_last(state: Lowering, source: Value, array: np.ndarray | None) -> np.ndarray | None:
    """Weights [O, C * H * W] with their columns in the order of an image that was flattened channels last."""
    before = state.flattened.get(source)
    if before is None or array is None:
        return array
    spatial = tuple(range(2, len(before.shape)))
    return array.reshape(-1, *before.shape[1:]).transpose(0, *spatial, 1).reshape(array.shape)
