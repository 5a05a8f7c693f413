"""Constant factors and offsets after a layer, made part of it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from netwright.graph import Builder, Graph, Node, Value, rebuild
from netwright.graph.ops.binary import Add, Div, Mul, Sub
from netwright.graph.ops.conv import Conv, ConvTranspose
from netwright.graph.ops.linear import Linear
from netwright.graph.ops.norm import BatchNorm

from . import batchnorm


def fold(graph: Graph) -> Graph:
    """A product with, or sum with, a constant of one number or one a channel behind a convolution or linear layer.

    Each is written as the batch norm that it is, which `batchnorm.fold` takes in; repeated while there is one.
    """
    while True:
        found = {n: layer for n in graph.nodes if (layer := _behind_layer(graph, n)) is not None}
        chosen = {n for n in found if found[n] not in found}  # one after the other
        if not chosen:
            return graph
        graph = batchnorm.fold(rebuild(graph, _as_norm(graph, chosen)))


def _behind_layer(graph: Graph, node: Node) -> Node | None:
    """The layer that a constant affine step stands behind, if it can take it in."""
    if not isinstance(node.op, (Mul, Add, Sub, Div)) or len(node.inputs) != 2:
        return None
    place = next((i for i, v in enumerate(node.inputs) if graph.constant(v) is not None), None)
    if place is None or (place == 0 and isinstance(node.op, Div)):
        return None
    y, constant = node.inputs[1 - place], node.inputs[place]
    layer = graph.producers.get(y) if y is not None else None
    if layer is None or y is None or constant is None or not isinstance(layer.op, (Conv, ConvTranspose, Linear)):
        return None
    rank, channels = len(y.shape), y.shape[1] if len(y.shape) > 1 else 0
    if rank < 2 or (isinstance(layer.op, Linear) and rank != 2) or node.output.shape != y.shape or y.dtype != "float32":
        return None
    shape = (1,) * (rank - len(constant.shape)) + constant.shape
    if any(n not in (1, channels if axis == 1 else 1) for axis, n in enumerate(shape)):
        return None
    alone = len(graph.consumers[y]) == 1 and y not in graph.outputs and all(s.after is not y for s in graph.states)
    fixed = all(v is None or graph.constant(v) is not None for v in layer.inputs[1:])
    return layer if alone and fixed else None


def _as_norm(graph: Graph, chosen: set[Node]) -> Callable[[Builder, Node, tuple[Value | None, ...]], Value | None]:
    def rule(b: Builder, node: Node, inputs: tuple[Value | None, ...]) -> Value | None:
        if node not in chosen:
            return None
        place = 0 if graph.constant(node.inputs[0]) is not None else 1
        x, array = inputs[1 - place], graph.constant(node.inputs[place])
        assert x is not None and array is not None
        channels = x.shape[1]
        given = np.broadcast_to(array.reshape(-1), (channels,)).astype(np.float32)
        scale, shift = np.ones(channels, np.float32), np.zeros(channels, np.float32)
        if isinstance(node.op, Mul):
            scale = given
        elif isinstance(node.op, Div):
            scale = np.reciprocal(given)
        elif isinstance(node.op, Sub):
            shift = -given if place == 1 else given
            scale = scale if place == 1 else -scale
        else:
            shift = given
        parts = [
            b.constant(np.ascontiguousarray(p), f"{node.name}.{n}") for n, p in (("scale", scale), ("shift", shift))
        ]
        zero, one = (b.constant(np.full(channels, v, np.float32), f"{node.name}.{v:g}") for v in (0.0, 1.0))
        return b(BatchNorm(epsilon=0.0), x, *parts, zero, one, name=node.name)

    return rule
