"""Integer networks between float ends, with the ends taken off: for programs that hand over what sensors give."""

from __future__ import annotations

from netwright.graph import Graph, Value
from netwright.graph.builder import closed, copied, opened
from netwright.graph.ops.quantise import Dequantise, Quantise

from . import dead


def integer(graph: Graph) -> Graph:
    """The graph that takes the integers which its inputs become, and gives those that its outputs come from.

    An input that anything but one Quantise reads stays as it is, and so does an output that no Dequantise makes.
    """
    b, new = opened(graph)
    taken: dict[Value, Value] = {}  # what an input becomes -> that input
    for value in graph.inputs:
        readers = graph.consumers.get(value, [])
        if len(readers) == 1 and isinstance(readers[0].op, Quantise) and value not in graph.outputs:
            taken[readers[0].output] = value
            new[value].type = readers[0].output.type
    for node in graph.nodes:
        if node.output in taken:
            new[node.output] = new[taken[node.output]]
            continue
        new.update(copied(b, new, node))
    given: dict[Value, Value] = {}
    for value in graph.outputs:
        maker = graph.producers.get(value)
        source = maker.inputs[0] if maker is not None and isinstance(maker.op, Dequantise) else None
        if source is not None and all(s.after is not value for s in graph.states):
            given[value] = new[source]
    return dead.eliminate(closed(graph, b, new, given))
