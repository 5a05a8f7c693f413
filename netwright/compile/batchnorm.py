"""Batch norm folded into the convolution or linear layer that feeds it."""

from __future__ import annotations

import numpy as np

from netwright.graph import Builder, Graph, Node, Value, rebuild
from netwright.graph.ops.conv import Conv, ConvTranspose
from netwright.graph.ops.linear import Linear
from netwright.graph.ops.norm import BatchNorm


def fold(graph: Graph) -> Graph:
    """w * scale / sqrt(variance + epsilon), bias likewise. Without contents only the structure is changed.

    The folded tensors are new ones called `<node>.weight` and `<node>.bias` after the convolution.
    """
    into: dict[Node, Node] = {}  # batch norm -> the layer before it
    for node in graph.nodes:
        if isinstance(node.op, BatchNorm):
            source = node.inputs[0]
            producer = graph.producers.get(source) if source is not None else None
            if producer is not None and _takes_in(graph, producer, node):
                into[node] = producer
    if not into:
        return graph
    folded_layers = set(into.values())
    layer_inputs: dict[Node, tuple[Value | None, ...]] = {}

    def rule(b: Builder, node: Node, inputs: tuple[Value | None, ...]) -> Value | None:
        if node in folded_layers:
            layer_inputs[node] = inputs
            return node.outputs[0]  # never read: its only consumer is the batch norm that takes it over
        layer = into.get(node)
        if layer is None:
            return None
        x = layer_inputs[layer][0]
        w, bias = _folded(b, graph, layer, node)
        return b(layer.op, x, w, bias, name=layer.name)

    return rebuild(graph, rule)


def _takes_in(graph: Graph, layer: Node, norm: Node) -> bool:
    """The layer's result goes nowhere else, its channels are the norm's, and all that is folded is parameters."""
    y = layer.output
    if not isinstance(layer.op, (Conv, ConvTranspose, Linear)) or (isinstance(layer.op, Linear) and len(y.shape) != 2):
        return False
    if len(graph.consumers[y]) > 1 or y in graph.outputs or any(s.after is y for s in graph.states):
        return False
    return all(v is None or v in graph.param_of for v in (*layer.inputs[1:], *norm.inputs[1:]))


def _folded(b: Builder, graph: Graph, layer: Node, norm: Node) -> tuple[Value, Value]:
    assert isinstance(norm.op, BatchNorm)
    weight = layer.inputs[1]
    assert weight is not None
    scale, shift, mean, variance = (graph.constant(v) for v in norm.inputs[1:])
    old = graph.constant(weight)
    w = b.param(f"{layer.name}.weight", weight.shape, dtype=weight.dtype, init=None)
    channels = norm.inputs[1].shape  # type: ignore[union-attr]
    bias = b.param(f"{layer.name}.bias", channels, dtype=weight.dtype, init=None)
    if old is not None and scale is not None and shift is not None and mean is not None and variance is not None:
        factor = scale / np.sqrt(variance + np.asarray(norm.op.epsilon, variance.dtype))
        b.store[w.name] = (old * _per_output(factor, old, layer)).astype(old.dtype)
        before = graph.constant(layer.inputs[2]) if len(layer.inputs) > 2 else None
        start = before if before is not None else np.zeros_like(mean)
        b.store[bias.name] = ((start - mean) * factor + shift).astype(old.dtype)
    return w, bias


def _per_output(factor: np.ndarray, weight: np.ndarray, layer: Node) -> np.ndarray:
    """The factor of each output channel, shaped to multiply the weights of this kind of layer."""
    if not isinstance(layer.op, ConvTranspose):
        return factor.reshape(-1, *[1] * (weight.ndim - 1))
    # [C, O/groups, ...]: the input channel tells the group
    groups = layer.op.groups
    by_group = factor.reshape(groups, 1, -1)
    spread = np.broadcast_to(by_group, (groups, weight.shape[0] // groups, weight.shape[1]))
    return spread.reshape(*weight.shape[:2], *[1] * (weight.ndim - 2))
