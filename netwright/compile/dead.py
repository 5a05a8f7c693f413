"""Dead code elimination."""

from __future__ import annotations

from netwright.graph import Graph, live


def eliminate(graph: Graph) -> Graph:
    """Drop nodes that neither an output nor a state needs, and parameters that nothing reads."""
    return live(graph)
