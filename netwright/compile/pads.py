"""Padding made part of the convolution that reads it: nothing is copied, and the padded image is stored nowhere."""

from __future__ import annotations

from dataclasses import replace

from netwright.graph import Builder, Graph, Node, Value, rebuild
from netwright.graph.ops.int8.conv import QConv
from netwright.graph.ops.shape import Pad

from . import dead


def fold(graph: Graph) -> Graph:
    """Take in zero points around an int8 image [N, H, W, C] that only a convolution reads; exact."""
    kept = {*graph.outputs, *(s.after for s in graph.states)}
    taken: dict[Node, Node] = {}  # convolution -> its padding
    for node in graph.nodes:
        maker = graph.producers.get(node.inputs[0]) if node.inputs and node.inputs[0] is not None else None
        if maker is None or not isinstance(node.op, QConv) or not isinstance(maker.op, Pad):
            continue
        pads = maker.op.pads
        plain = maker.op.mode == "constant" and maker.op.value == node.op.x.zero
        spatial = len(pads) == 8 and not any(pads[i] for i in (0, 3, 4, 7)) and min(pads) >= 0
        if plain and spatial and len(graph.consumers[maker.output]) == 1 and maker.output not in kept:
            taken[node] = maker
    if not taken:
        return graph
    sources: dict[Node, Value | None] = {}

    def rule(b: Builder, node: Node, inputs: tuple[Value | None, ...]) -> Value | None:
        if node in taken.values():
            sources[node] = inputs[0]
            return None
        maker = taken.get(node)
        if maker is None:
            return None
        assert isinstance(node.op, QConv) and isinstance(maker.op, Pad)
        _, top, left, _, _, bottom, right, _ = maker.op.pads
        before = node.op.padding
        padding = (before[0] + top, before[1] + left, before[2] + bottom, before[3] + right)
        return b(replace(node.op, padding=padding), sources[maker], *inputs[1:], name=node.name)

    return dead.eliminate(rebuild(graph, rule))
