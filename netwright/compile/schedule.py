"""The order in which a network with branches is computed: one that needs less memory, where there is one.

A beam search over orders: at each step every node whose inputs are there may come next; the states kept are those with
the lowest peak so far, then the fewest bytes alive (Liberis and Lane 2019, "Neural networks on microcontrollers: saving
memory at inference via operator reordering", search the same orders exhaustively). What a step needs is what is alive
there, working memory and all, less what a result may share with an input that dies; the memory plan itself decides
between the best order and the given one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from netwright.graph import Graph, Node, Value

from .memory import Overlap, plan
from .placement import aligned, covered

BEAM = 12
LARGEST = 600  # nodes; the time of the search grows with their square, and larger networks keep their order


class _State(NamedTuple):
    """A beginning of an order."""

    peak: int
    alive: int
    order: tuple[int, ...]
    done: int  # the nodes of `order`, as bits
    waiting: tuple[int, ...]  # inputs not yet there, one a node


def reorder(
    graph: Graph,
    scratch: Callable[[Node], int] | None = None,
    overlap: Callable[[Node], Overlap | None] | None = None,
) -> Graph:
    """The graph with its nodes in another order if its plan then needs fewer bytes, else the graph itself.

    `scratch` and `overlap` are those of `memory.plan`.
    """
    if len(graph.nodes) > LARGEST or _is_chain(graph):
        return graph
    order = _search(graph, _Memory(graph, scratch, overlap))
    if order == list(range(len(order))):
        return graph
    made = replace(graph, nodes=tuple(graph.nodes[i] for i in order))
    after, before = plan(made, scratch, overlap), plan(graph, scratch, overlap, work=0)
    if before.bound <= after.bytes < before.bytes:
        before = plan(graph, scratch, overlap)
    return made if after.bytes < before.bytes else graph


def _is_chain(graph: Graph) -> bool:
    """Whether each node reads what the one before it made, so that there is no other order."""
    return all(any(v in b.inputs for v in a.outputs) for a, b in zip(graph.nodes, graph.nodes[1:]))


class _Memory:
    """Which values each node reads, makes and lets die, in bytes; views are their sources."""

    def __init__(
        self,
        graph: Graph,
        scratch: Callable[[Node], int] | None,
        overlap: Callable[[Node], Overlap | None] | None,
    ) -> None:
        stored = graph.param_of
        root: dict[Value, Value] = {}
        self.read: list[list[Value]] = []
        self.made: list[list[Value]] = []
        self.size: dict[Value, int] = {}
        self.scratch: list[int] = []  # working memory
        self.spared: list[int] = []  # what the result may share with the first input where that dies
        for node in graph.nodes:
            reads = list(dict.fromkeys(root.get(v, v) for v in node.inputs if v is not None and v not in stored))
            source = node.inputs[0] if node.op.is_view and node.inputs else None
            if source is not None and source not in stored:
                root[node.output] = root.get(source, source)
            made = [v for v in node.outputs if v not in root]
            self.read.append(reads)
            self.made.append(made)
            for v in (*reads, *made):
                self.size.setdefault(v, aligned(v.type.bytes))
            self.scratch.append(aligned(scratch(node)) if scratch is not None else 0)
            first = node.inputs[0] if node.inputs else None
            allowed = overlap(node) if overlap is not None and first is not None and first not in stored else None
            self.spared.append(self._spared(node, allowed))
        self.readers: dict[Value, int] = {}  # nodes that read a value, as bits
        for i, reads in enumerate(self.read):
            for v in reads:
                self.readers[v] = self.readers.get(v, 0) | 1 << i
        ends = (*graph.outputs, *(s.after for s in graph.states), *(s.before for s in graph.states))
        self.kept = {root.get(v, v) for v in ends}
        self.nodes = graph.nodes
        self.start = sum(self.size.get(v, 0) for v in (*graph.inputs, *(s.before for s in graph.states)))

    def _spared(self, node: Node, allowed: Overlap | None) -> int:
        if allowed is None or node.inputs[0] is None:
            return 0
        source, made = aligned(node.inputs[0].type.bytes), aligned(node.output.type.bytes)
        return source + made - covered(source, made, allowed.gap(source, made))

    def step(self, state: _State, i: int) -> tuple[int, int]:
        """Peak and bytes alive after node i."""
        done = state.done | 1 << i
        size = self.size
        dying = [v for v in self.read[i] if v not in self.kept and not self.readers[v] & ~done]
        made = sum(size[v] for v in self.made[i])
        freed = sum(size[v] for v in dying)
        node: Node = self.nodes[i]
        shared = made if node.op.in_place and any(size[v] == made for v in dying) else 0
        if self.spared[i] and self.read[i][0] in dying:
            shared = max(shared, self.spared[i])
        during = state.alive + made - shared + self.scratch[i]
        unread = sum(size[v] for v in self.made[i] if v not in self.readers and v not in self.kept)
        return max(state.peak, during), state.alive + made - freed - unread


def _search(graph: Graph, memory: _Memory) -> list[int]:
    """Node indices in the order of the lowest estimated peak."""
    makers = {v: i for i, node in enumerate(graph.nodes) for v in node.outputs}
    needs = [{makers[v] for v in node.inputs if v is not None and v in makers} for node in graph.nodes]
    followers: list[list[int]] = [[] for _ in graph.nodes]
    for i, before in enumerate(needs):
        for j in before:
            followers[j].append(i)
    beam = [_State(memory.start, memory.start, (), 0, tuple(len(n) for n in needs))]
    ready = {0: [i for i, n in enumerate(needs) if not n]}  # bits of what is done -> nodes that may come next
    for _ in graph.nodes:
        found: dict[int, _State] = {}
        after: dict[int, list[int]] = {}
        for state in beam:
            for i in ready[state.done]:
                done = state.done | 1 << i
                peak, alive = memory.step(state, i)
                known = found.get(done)
                if known is not None and (known.peak, known.order) <= (peak, (*state.order, i)):
                    continue
                waiting = list(state.waiting)
                free = [j for j in ready[state.done] if j != i]
                for j in followers[i]:
                    waiting[j] -= 1
                    if not waiting[j]:
                        free.append(j)
                found[done] = _State(peak, alive, (*state.order, i), done, tuple(waiting))
                after[done] = sorted(free)
        beam = sorted(found.values(), key=lambda s: (s.peak, s.alive, s.order))[:BEAM]
        ready = {s.done: after[s.done] for s in beam}
    return list(beam[0].order)
