"""Cells: small directed acyclic graphs whose wiring and operations are chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from netwright.spaces.node import Choose, Compiled, Node, Scope, compile_tree, join, together
from netwright.spaces.vocabulary import Choice, Subset


class CellNode(NamedTuple):
    """One node: the states it reads, the operation on each, and how the results are combined."""

    inputs: tuple[int, ...]
    ops: tuple[Any, ...]
    combine: Any


class CellPlan(NamedTuple):
    """What a Cell becomes in the structure.

    States are numbered: the cell's inputs first, then one for each node. `unused` are the nodes' states that no node
    reads; NASNet concatenates those into the cell's output.
    """

    nodes: tuple[CellNode, ...]
    unused: tuple[int, ...]


@dataclass(frozen=True)
class Cell(Node):
    """`nodes` nodes over `inputs` input states, each reading `fan_in` earlier states through a chosen op.

    fan_in    a number, or "all": every earlier state (NAS-Bench-201: Cell(3, 1, ops, "all") has 5^6 members)
    distinct  True: the states read differ (DARTS, whose cell is Cell(4, 2, ops, 2)); False: each edge chooses its
              state alone (NASNet, section 3: Cell(5, 2, ops, 2, distinct=False, combine=("add", "concat")))
    ops       the values of a choice, or any sub-space for one edge's operation
    combine   ways to join a node's edges; a decision where there are several
    Addresses: path/<node>/inputs, path/<node>/<edge>/op (and /from when not distinct), path/<node>/combine.
    """

    nodes: int
    inputs: int
    ops: Any
    fan_in: int | str = 2
    distinct: bool = True
    combine: Sequence[Any] = ("add",)

    def compile(self, path: str, scope: Scope) -> Compiled:
        if self.nodes < 1 or self.inputs < 1 or (self.fan_in != "all" and not isinstance(self.fan_in, int)):
            raise ValueError('a Cell needs nodes >= 1, inputs >= 1 and fan_in a number or "all"')
        if scope.asked is not None:
            return compile_tree({str(node): self._node(node) for node in range(self.nodes)}, path, scope)
        parts = [compile_tree(self._node(node), join(path, node), scope) for node in range(self.nodes)]
        runs = tuple((part.run, self._edges(node)) for node, part in enumerate(parts))
        first, states = self.inputs, self.inputs + self.nodes

        def run(choose: Choose, trace: dict[str, Any], backtrack: bool) -> CellPlan:
            nodes = tuple([_plan(part(choose, trace, backtrack), keys) for part, keys in runs])
            read = {state for node in nodes for state in node.inputs}
            return CellPlan(nodes, tuple(state for state in range(first, states) if state not in read))

        return together(run, parts)

    def _edges(self, node: int) -> tuple[str, ...]:
        """The names of a node's edges."""
        return tuple(map(str, range(self.inputs + node if isinstance(self.fan_in, str) else self.fan_in)))

    def _node(self, node: int) -> dict[str, Any]:
        """The sub-space of one node, in plain words of the language."""
        states = tuple(range(self.inputs + node))
        edges = self._edges(node)
        fan_in = len(edges)
        if fan_in < 1 or (self.distinct and fan_in > len(states)):
            raise ValueError(f"node {node} cannot read {fan_in} different states of {len(states)}")
        ops = Choice(self.ops) if isinstance(self.ops, (tuple, list)) else self.ops
        tree: dict[str, Any] = {}
        if self.distinct:
            tree["inputs"] = states if fan_in == len(states) else Subset(states, fan_in, fan_in)
        for edge in edges:
            tree[edge] = {"op": ops} if self.distinct else {"from": Choice(states), "op": ops}
        tree["combine"] = Choice(self.combine) if len(self.combine) > 1 else self.combine[0]
        return tree


def _plan(chosen: dict[str, Any], keys: Sequence[str]) -> CellNode:
    edges = [chosen[key] for key in keys]
    inputs = chosen["inputs"] if "inputs" in chosen else tuple([edge["from"] for edge in edges])
    return CellNode(inputs, tuple([edge["op"] for edge in edges]), chosen["combine"])
