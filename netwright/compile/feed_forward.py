"""Two int8 linear layers in a row made one op, with the table between them: their hidden rows are stored nowhere."""

from __future__ import annotations

from typing import NamedTuple

from netwright.graph import Builder, Graph, Node, Value, rebuild
from netwright.graph.ops.int8.conv import QLinear
from netwright.graph.ops.int8.elementwise import QLookup
from netwright.graph.ops.int8.feed_forward import QFeedForward
from netwright.graph.ops.shape import Reshape

from . import dead


class Pair(NamedTuple):
    """Linear layers of several rows, the second reading the first, and the table between them if there is one."""

    first: Node
    table: Node | None
    second: Node


def fold(graph: Graph) -> Graph:
    """Make pairs of linear layers over several rows one op each, those of most hidden features first; exact."""
    found = [p for n in graph.nodes if (p := _pair(graph, n)) is not None]
    pairs: dict[Node, Pair] = {}
    taken: set[Node] = set()
    for pair in sorted(found, key=lambda p: -p.first.output.shape[1]):
        if not {pair.first, pair.second} & taken:
            taken |= {pair.first, pair.second}
            pairs[pair.second] = pair
    if not pairs:
        return graph
    now: dict[Node, tuple[Value | None, ...]] = {}

    def rule(b: Builder, node: Node, inputs: tuple[Value | None, ...]) -> Value | None:
        now[node] = inputs
        pair = pairs.get(node)
        if pair is None:
            return None
        first, second = pair.first.op, node.op
        assert isinstance(first, QLinear) and isinstance(second, QLinear)
        op = QFeedForward(
            first.x, first.out, second.x, second.out, first.low, first.high, second.low, second.high
        )  # fmt: skip
        table = now[pair.table][1] if pair.table is not None else None
        return b(op, *now[pair.first], table, *inputs[1:], name=node.name)

    return dead.eliminate(rebuild(graph, rule))


def _pair(graph: Graph, second: Node) -> Pair | None:
    """The pair whose second layer this is, where it is one."""
    if not isinstance(second.op, QLinear) or second.op.w_zero:
        return None
    kept = {*graph.outputs, *(s.after for s in graph.states)}
    table, value = None, second.inputs[0]
    while value is not None and len(graph.consumers[value]) == 1 and value not in kept:
        node = graph.producers.get(value)
        if node is None:
            return None
        if isinstance(node.op, QLinear):
            rows = node.output.shape
            plain = node.op.w_zero == 0 and rows[0] > 1 and second.inputs[0].shape == rows  # type: ignore[union-attr]
            return Pair(node, table, second) if plain and (table or node.op.out == second.op.x) else None
        if isinstance(node.op, QLookup) and table is None:
            table = node
        elif not isinstance(node.op, Reshape):
            return None
        value = node.inputs[0]
    return None
