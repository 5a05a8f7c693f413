"""Layers that quantise their input while the network runs, turned back into float layers."""

from __future__ import annotations

import numpy as np

from netwright.graph import Builder, Graph, Node, Value, rebuild
from netwright.graph.ops.dynamic_quantise import DynamicQuantise


def as_float(graph: Graph) -> Graph:
    """Every dynamic quantisation becomes its input, in steps of 1: what is left is a float network with the same
    (rounded) weights, which can be calibrated."""
    if not any(isinstance(n.op, DynamicQuantise) for n in graph.nodes):
        return graph

    def rule(b: Builder, node: Node, inputs: tuple[Value | None, ...]) -> tuple[Value, ...] | None:
        if not isinstance(node.op, DynamicQuantise):
            return None
        (x,) = inputs
        assert x is not None
        return x, b.constant(np.ones([1] * len(x.shape), np.float32), f"{node.name}.one")

    return rebuild(graph, rule)
