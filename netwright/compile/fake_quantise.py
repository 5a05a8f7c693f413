"""Insert fake quantisation, so that training feels the rounding (Jacob et al. 2018, section 3)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from netwright.graph import Builder, Graph, Node, Value, rebuild
from netwright.graph.ops.conv import Conv
from netwright.graph.ops.linear import Linear
from netwright.graph.ops.quantise import FakeQuantise
from netwright.graph.ops.reduce import ReduceMax, ReduceMin

from .int8.lowering import clamp_of


def insert(graph: Graph, ranges: Mapping[str, tuple[float, float]]) -> Graph:
    """Weights rounded per output channel from their present values, activations on the grids of `ranges`.

    `graph` has its batch norms folded. An activation that a layer takes in is rounded after it, not before.
    """
    fused = {
        n.output
        for n in graph.nodes
        if len(graph.consumers.get(n.output, [])) == 1 and clamp_of(graph.consumers[n.output][0].op) is not None
    }

    def rounded(b: Builder, v: Value, name: str) -> Value:
        low, high = (b.constant(np.float32(r), f"{name}.range") for r in ranges[name])
        return b(FakeQuantise(), v, low, high, name=f"{name}.rounded")

    def rule(b: Builder, node: Node, inputs: tuple[Value | None, ...]) -> Value | None:
        op = node.op
        given = list(inputs)
        for i, (old, new) in enumerate(zip(node.inputs, inputs)):
            if old in graph.inputs and new is not None and old is not None and old.name in ranges:
                given[i] = rounded(b, new, old.name)
        weight = inputs[1] if isinstance(op, (Conv, Linear)) else None
        if weight is not None:
            axes = tuple(range(1, len(weight.shape)))
            low, high = b(ReduceMin(axes), weight), b(ReduceMax(axes), weight)
            given[1] = b(FakeQuantise(symmetric=True), weight, low, high, name=f"{weight.name}.rounded")
        y = b(op, *given, name=node.name)
        if isinstance(y, tuple) or node.output in fused or node.name not in ranges or node.output.dtype != "float32":
            return y
        return rounded(b, y, node.name)

    return rebuild(graph, rule)


def remove(graph: Graph) -> Graph:
    """Take the fake quantisation out again, keeping the trained weights."""
    from . import dead

    def rule(b: Builder, node: Node, inputs: tuple[Value | None, ...]) -> Value | None:
        return inputs[0] if isinstance(node.op, FakeQuantise) else None

    return dead.eliminate(rebuild(graph, rule))
