"""Dead code elimination."""

from __future__ import annotations

from netwright.graph import Graph, Node, Value, rebuild


def eliminate(graph: Graph) -> Graph:
    """Drop nodes that neither an output nor a state needs, and parameters that nothing reads."""
    needed: set[Value] = set(graph.outputs) | {s.after for s in graph.states}
    kept: set[Node] = set()
    for node in reversed(graph.nodes):
        if any(v in needed for v in node.outputs):
            kept.add(node)
            needed.update(v for v in node.inputs if v is not None)
    return graph if len(kept) == len(graph.nodes) else rebuild(graph, only=kept)
