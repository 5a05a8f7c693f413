"""Where every activation lies in one arena: lifetimes, aliases, offsets.

Each buffer is a rectangle (first step, last step, bytes). Views share their source's buffer; an elementwise node may
write over an input that dies there. Rectangles are then placed: several orders are tried with lowest-offset first fit,
and the search stops as soon as one meets the bound, the largest sum of buffers alive at one step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from netwright.graph import Graph, Node, Value

ALIGNMENT = 4
TRIES = 3000  # placements of the exact search before it gives up


@dataclass(frozen=True)
class Buffer:
    """One region of the arena: the values that share it, the steps it is alive (inclusive), its bytes."""

    values: tuple[Value, ...]
    first: int
    last: int
    bytes: int

    @property
    def name(self) -> str:
        return self.values[0].name if self.values else "scratch"


@dataclass(frozen=True)
class Plan:
    """Offsets in an arena of `bytes`; `bound` is what no placement of these buffers can go below."""

    bytes: int
    bound: int
    buffers: tuple[Buffer, ...]
    offsets: tuple[int, ...]  # one a buffer
    at: dict[Value, int] = field(default_factory=dict)  # value -> offset
    scratch: dict[Node, int] = field(default_factory=dict)  # node -> offset of its scratch

    def live(self, step: int) -> int:
        """Bytes alive at a step."""
        return sum(b.bytes for b in self.buffers if b.first <= step <= b.last)


def aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def plan(graph: Graph, scratch: Callable[[Node], int] | None = None) -> Plan:
    """Plan the inputs, states, activations and outputs of one graph; step i is node i, inputs are born at step 0.

    `scratch(node)` gives the bytes of working memory a kernel needs beside its tensors.
    """
    buffers, scratches = _buffers(graph, scratch)
    offsets, total, bound = place(buffers)
    at = {v: offset for b, offset in zip(buffers, offsets) for v in b.values}
    where = {node: offsets[i] for node, i in scratches.items()}
    return Plan(total, bound, tuple(buffers), tuple(offsets), at, where)


def _buffers(graph: Graph, scratch: Callable[[Node], int] | None) -> tuple[list[Buffer], dict[Node, int]]:
    steps = len(graph.nodes)
    end = steps  # outputs and states outlive the last node, so nothing may be written over them there
    stored = graph.param_of
    last: dict[Value, int] = {}
    for index, node in enumerate(graph.nodes):
        for v in node.inputs:
            if v is not None:
                last[v] = index
    forever = {s.before for s in graph.states}
    for v in (*graph.outputs, *(s.after for s in graph.states), *forever):
        last[v] = end
    owner: dict[Value, int] = {}  # value -> buffer
    members: list[list[Value]] = []
    spans: list[list[int]] = []  # first, last, bytes

    def born(v: Value, step: int) -> None:
        owner[v] = len(members)
        members.append([v])
        spans.append([step, max(step, last.get(v, step)), aligned(v.type.bytes)])

    for v in graph.inputs:
        born(v, 0)
    for s in graph.states:
        born(s.before, 0)
    for index, node in enumerate(graph.nodes):
        for position, v in enumerate(node.outputs):
            source = _shared(node, position, index, v, owner, spans, stored, forever)
            if source is None:
                born(v, index)
            else:
                owner[v] = source
                members[source].append(v)
                spans[source][1] = max(spans[source][1], last.get(v, index))
    buffers = [Buffer(tuple(m), *s) for m, s in zip(members, spans)]
    scratches: dict[Node, int] = {}
    if scratch is not None:
        for index, node in enumerate(graph.nodes):
            size = scratch(node)
            if size:
                scratches[node] = len(buffers)
                buffers.append(Buffer((), index, index, aligned(size)))
    return buffers, scratches


def _shared(
    node: Node,
    position: int,
    index: int,
    v: Value,
    owner: dict[Value, int],
    spans: list[list[int]],
    stored: Mapping[Value, object],
    forever: set[Value],
) -> int | None:
    """The buffer an output can share with an input: a view always, an elementwise result where the input dies."""
    if node.op.is_view:
        source = node.inputs[0]
        return owner.get(source) if source is not None and source not in stored else None
    if node.op.in_place:
        for source in node.inputs:
            if source is None or source in stored or source in forever or source.shape != v.shape:
                continue
            mine = owner[source]
            if spans[mine][1] == index and source.type.bytes == v.type.bytes:
                return mine
    return None


def place(buffers: list[Buffer]) -> tuple[list[int], int, int]:
    """Offsets for rectangles, the arena's size, and the lower bound."""
    if not buffers:
        return [], 0, 0
    steps = max(b.last for b in buffers) + 1
    live = [0] * (steps + 1)
    for b in buffers:
        live[b.first] += b.bytes
        live[b.last + 1] -= b.bytes
    bound = running = 0
    for change in live:
        running += change
        bound = max(bound, running)
    indices = range(len(buffers))
    orders = (
        sorted(indices, key=lambda i: (-buffers[i].bytes, buffers[i].first)),
        sorted(indices, key=lambda i: (buffers[i].first, -buffers[i].bytes)),
        sorted(indices, key=lambda i: (-(buffers[i].last - buffers[i].first), -buffers[i].bytes)),
        sorted(indices, key=lambda i: -buffers[i].bytes * (buffers[i].last - buffers[i].first + 1)),
    )
    best: list[int] | None = None
    size = 0
    for order in orders:
        offsets = _first_fit(buffers, order)
        top = max(o + b.bytes for o, b in zip(offsets, buffers))
        if best is None or top < size:
            best, size = offsets, top
        if size == bound:
            return offsets, size, bound
    assert best is not None
    found = _within(buffers, bound)
    return (found, bound, bound) if found is not None else (best, size, bound)


def _within(buffers: list[Buffer], capacity: int) -> list[int] | None:
    """Offsets inside `capacity` by depth-first search in order of birth, each buffer at an edge of a gap: the ends of
    the arena first, which is how a chain of layers always fits. None when TRIES placements did not do."""
    order = sorted(range(len(buffers)), key=lambda i: (buffers[i].first, -buffers[i].bytes))
    offsets = [0] * len(buffers)
    tries = 0

    def edges(position: int) -> list[int]:
        b = buffers[order[position]]
        taken = sorted(
            (offsets[j], offsets[j] + buffers[j].bytes)
            for j in order[:position]
            if buffers[j].first <= b.last and b.first <= buffers[j].last
        )
        found, at = [], 0
        for start, stop in (*taken, (capacity, capacity)):
            if start - at >= b.bytes:
                found += [at, start - b.bytes]
            at = max(at, stop)
        ends = (0, capacity - b.bytes)
        return sorted(dict.fromkeys(found), key=lambda o: (o not in ends, o))

    stack = [edges(0)]
    while stack:
        if not stack[-1]:
            stack.pop()
            continue
        tries += 1
        if tries > TRIES:
            return None
        position = len(stack) - 1
        offsets[order[position]] = stack[-1].pop(0)
        if position + 1 == len(order):
            return offsets
        stack.append(edges(position + 1))
    return None


def _first_fit(buffers: list[Buffer], order: list[int]) -> list[int]:
    offsets = [0] * len(buffers)
    placed: list[int] = []
    for i in order:
        b = buffers[i]
        others = sorted(
            (offsets[j], offsets[j] + buffers[j].bytes)
            for j in placed
            if buffers[j].first <= b.last and b.first <= buffers[j].last
        )
        at = 0
        for start, stop in others:
            if at + b.bytes <= start:
                break
            at = max(at, stop)
        offsets[i] = at
        placed.append(i)
    return offsets
