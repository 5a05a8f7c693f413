"""A piece of a graph as a graph of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from netwright.errors import nearest
from netwright.graph import Graph
from netwright.graph.builder import copied, opened

from . import dead


def part(graph: Graph, starts: Mapping[str, str], ends: Iterable[str]) -> Graph:
    """What leads from the values called `starts` to those called `ends`: its inputs and its outputs, in that order.

    `starts` maps names of inputs, or of what nodes make, to what they are called as inputs of the part; parameters keep
    their tensors. Raises ValueError for a name that is absent, for a graph with states, and when an end depends on an
    input that is not behind a start.
    """
    if graph.states:
        raise ValueError(f"{graph.name} has states; a part of it would have them too")
    known = {v.name: v for v in (*graph.inputs, *(v for node in graph.nodes for v in node.outputs))}
    ends = tuple(ends)
    for name in (*starts, *ends):
        if name not in known:
            raise ValueError(f"{graph.name} has no value {name!r}{nearest(name, known)}")
    b, new = opened(graph)
    b._inputs.clear()
    for value in graph.inputs:
        b._taken.pop(new.pop(value).name)
    new |= {known[name]: b.input(called, known[name].type) for name, called in starts.items()}
    for node in graph.nodes:
        if all(v is None or v in new for v in node.inputs) and not all(v in new for v in node.outputs):
            made = copied(b, new, node)
            new |= {old: value for old, value in made.items() if old not in new}
    for name in ends:
        if known[name] not in new:
            raise ValueError(f"{name!r} depends on more than {', '.join(starts)}")
    b.output(*(new[known[name]] for name in ends))
    return dead.eliminate(b.graph())
