"""An int8 linear layer that makes queries, keys and values side by side made one layer for each, so that each can be
written over what is not needed again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from netwright.graph import Builder, Graph, Node, Value, rebuild
from netwright.graph.ops.int8.attention import QAttention
from netwright.graph.ops.int8.conv import QLinear
from netwright.graph.ops.shape import Reshape

from . import dead


def split(graph: Graph) -> Graph:
    """Cut linear layers that only one attention reads by the columns that it reads; exact."""
    layers = {n: layer for n in graph.nodes if isinstance(n.op, QAttention) and (layer := _layer(graph, n)) is not None}
    if not layers:
        return graph
    now: dict[Node, tuple[Value | None, ...]] = {}

    def rule(b: Builder, node: Node, inputs: tuple[Value | None, ...]) -> Value | None:
        now[node] = inputs
        if node not in layers:
            return None
        op, layer = node.op, layers[node]
        assert isinstance(op, QAttention)
        parts = []
        for name, column, size in zip(("q", "k", "v"), op.columns, (op.width, op.width, op.depth)):
            stretch = slice(column, column + op.heads * size)
            cut = [_cut(b, graph, v, stretch, f"{layer.name}.{name}") for v in layer.inputs[1:] if v is not None]
            made = b(layer.op, now[layer][0], *cut, name=f"{layer.name}.{name}")
            parts.append(b(Reshape((-1, node.output.shape[1], op.heads * size)), made, name=f"{made.name}.tokens"))
        return b(replace(op, columns=(0, 0, 0)), *parts, name=node.name)

    return dead.eliminate(rebuild(graph, rule))


def _layer(graph: Graph, attention: Node) -> Node | None:
    """The layer whose result all operands of an attention are, where nobody else reads it and its weights are fixed."""
    value = attention.inputs[0]
    if len(set(attention.inputs)) > 1:
        return None
    kept = {*graph.outputs, *(s.after for s in graph.states)}
    reader = attention
    while value is not None and value not in kept and set(graph.consumers[value]) == {reader}:
        node = graph.producers.get(value)
        if node is None or not isinstance(node.op, (Reshape, QLinear)):
            return None
        if isinstance(node.op, QLinear):
            return node if all(v in graph.param_of for v in node.inputs[1:]) else None
        reader, value = node, node.inputs[0]
    return None


def _cut(b: Builder, graph: Graph, value: Value, stretch: slice, name: str) -> Value:
    """These rows of a constant, whose contents may be unknown yet."""
    shape = (stretch.stop - stretch.start, *value.shape[1:])
    made = b.param(f"{name}.{value.name}", shape, dtype=value.dtype, init=None, trainable=False)
    array = graph.constant(value)
    if array is not None:
        b.store[made.name] = np.ascontiguousarray(array[stretch])
    return made
