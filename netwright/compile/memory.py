"""Where every activation lies in one arena: lifetimes, aliases, overlaps, offsets.

Each buffer is a rectangle (first step, last step, bytes). Views share their source's buffer; an elementwise node may
write over an input that dies there. A kernel that reads ahead of what it writes may have its result lie over its dying
input, as far apart as the order of its reads and writes needs (`Overlap`). `placement` finds the offsets.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from netwright.graph import Graph, Node, Value

from .placement import WORK, Buffer, Gap, aligned, place


class Overlap(NamedTuple):
    """How a kernel's result may lie over its first input, in bytes.

    `forward`: from first to last pixel the result may begin this much before the input, or more; `backward`: from last
    to first this much behind it (None: the kernel has no such order); `same`: exactly over it.
    """

    forward: int | None = None
    backward: int | None = None
    same: bool = False

    def gap(self, source: int, made: int) -> Gap:
        """What a result of `made` bytes must keep from its input of `source` bytes, as the result sees it."""
        before = made if self.forward is None else min(self.forward, made)
        behind = source if self.backward is None else min(self.backward, source)
        return Gap(aligned(max(0, before)), aligned(max(0, behind)), self.same)


@dataclass(frozen=True)
class Plan:
    """Offsets in an arena of `bytes`; `bound` is what no placement of these buffers can go below."""

    bytes: int
    bound: int
    buffers: tuple[Buffer, ...]
    offsets: tuple[int, ...]  # one a buffer
    at: dict[Value, int] = field(default_factory=dict)  # value -> offset
    scratch: dict[Node, int] = field(default_factory=dict)  # node -> offset of its scratch
    backward: frozenset[Node] = frozenset()  # nodes that must compute their last pixels first

    def live(self, step: int) -> int:
        """Bytes of the arena that are held at a step; those of a result over its input count once."""
        return self._live[step]

    @cached_property
    def _live(self) -> list[int]:
        held: list[list[tuple[int, int]]] = [[] for _ in range(max((b.last for b in self.buffers), default=0) + 1)]
        for b, offset in sorted(zip(self.buffers, self.offsets), key=lambda pair: pair[1]):
            for step in range(b.first, b.last + 1):
                held[step].append((offset, offset + b.bytes))
        return [_covered(spans) for spans in held]


def _covered(spans: list[tuple[int, int]]) -> int:
    """Length of the union of stretches, which are sorted by their begin."""
    total = reached = 0
    for start, end in spans:
        if end > reached:
            total += end - max(start, reached)
            reached = end
    return total


def plan(
    graph: Graph,
    scratch: Callable[[Node], int] | None = None,
    overlap: Callable[[Node], Overlap | None] | None = None,
    work: int = WORK,
) -> Plan:
    """Plan the inputs, states, activations and outputs of one graph; step i is node i, inputs are born at step 0.

    `scratch(node)` gives the bytes of working memory a kernel needs beside its tensors, `overlap(node)` how its result
    may lie over its first input; `work` bounds the search for offsets.
    """
    buffers, scratches, owner = _buffers(graph, scratch)
    pairs: dict[tuple[int, int], tuple[Node, Overlap]] = {}
    if overlap is not None:
        for index, node in enumerate(graph.nodes):
            source = owner.get(node.inputs[0]) if node.inputs and node.inputs[0] is not None else None
            made = owner.get(node.output)
            if source is None or made is None or source == made or buffers[source].last != index:
                continue
            if buffers[made].first != index:
                continue
            allowed = overlap(node)
            if allowed is not None:
                pairs[made, source] = node, allowed
    gaps = {}
    for (made, source), (_, allowed) in pairs.items():
        gap = allowed.gap(buffers[source].bytes, buffers[made].bytes)
        gaps[made, source], gaps[source, made] = gap, Gap(gap.behind, gap.before, gap.same)
    offsets, total, bound = place(buffers, gaps, work)
    at = {v: offset for b, offset in zip(buffers, offsets) for v in b.values}
    where = {node: offsets[i] for node, i in scratches.items()}
    backward = frozenset(
        node
        for (made, source), (node, _) in pairs.items()
        if offsets[source] - offsets[made] < gaps[made, source].before  # not forward
        and offsets[made] < offsets[source] + buffers[source].bytes  # over it
        and offsets[made] != offsets[source] + buffers[source].bytes
        and not (gaps[made, source].same and offsets[made] == offsets[source])
    )
    return Plan(total, bound, tuple(buffers), tuple(offsets), at, where, backward)


def _buffers(
    graph: Graph, scratch: Callable[[Node], int] | None
) -> tuple[list[Buffer], dict[Node, int], dict[Value, int]]:
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
        spans.append([step, last.get(v, step), aligned(v.type.bytes)])

    for v in graph.inputs:
        born(v, 0)
    for s in graph.states:
        born(s.before, 0)
    for index, node in enumerate(graph.nodes):
        for v in node.outputs:
            shares = node.op.is_view or node.op.in_place
            source = _shared(node, index, v, owner, spans, stored, forever) if shares else None
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
    return buffers, scratches, owner


def _shared(
    node: Node,
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
    for source in node.inputs:
        if source is None or source in stored or source in forever or source.shape != v.shape:
            continue
        mine = owner[source]
        if spans[mine][1] == index and source.type.bytes == v.type.bytes:
            return mine
    return None
