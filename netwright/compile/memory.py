"""Where every activation lies in one arena: lifetimes, aliases, overlaps, offsets.

Each buffer is a rectangle (first step, last step, bytes). Views share their source's buffer, and so do slices that are
one stretch of it; parts of a concatenation are made where they are wanted. An elementwise node may write over an input
that dies there. A kernel that reads ahead of what it writes may have its result lie over its dying input, as far apart
as the order of its reads and writes needs (`Overlap`). An op that updates a state does so in place where nothing reads
the old value later. `placement` finds the offsets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate
from typing import NamedTuple

from netwright.graph import Graph, Node, Type, Value
from netwright.graph.ops.shape import Concat, Slice, Split

from .placement import WORK, Buffer, Gap, Gaps, aligned, lower_bound, place


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
    outside: frozenset[Value] = frozenset()  # inputs that lie in memory of their own
    free: frozenset[Node] = frozenset()  # slices and concatenations that lie where they are wanted: nothing to move

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
    shared: Mapping[str, Region] | None = None,
    outside: frozenset[Value] = frozenset(),
    work: int = WORK,
) -> Plan:
    """Plan the inputs, states, activations and outputs of one graph; step i is node i, inputs are born at step 0.

    `scratch(node)` gives the bytes of working memory a kernel needs beside its tensors, `overlap(node)` how its result
    may lie over its first input. `shared` (see `shared_states`) has the places of states that several graphs hold in
    common; they come first, and everything else lies behind them. Inputs that are `outside` have no place in the arena:
    they are read where they are. `work` bounds the search for offsets.
    """
    lying = _buffers(graph, scratch, outside)
    buffers, inside = lying.buffers, lying.inside
    pairs = _pairs(graph, lying, overlap)
    gaps = _gaps(buffers, pairs)
    offsets, total, bound = _placed(buffers, gaps, graph, shared or {}, work)
    at = {v: offset + inside.get(v, 0) for b, offset in zip(buffers, offsets) for v in b.values}
    where = {node: offsets[i] for node, i in lying.scratches.items()}
    backward = frozenset(
        node
        for (made, source), (node, _) in pairs.items()
        if offsets[source] - offsets[made] < gaps[made, source].before  # not forward
        and offsets[made] < offsets[source] + buffers[source].bytes  # over it
        and offsets[made] != offsets[source] + buffers[source].bytes
        and not (gaps[made, source].same and offsets[made] == offsets[source])
    )
    return Plan(total, bound, tuple(buffers), tuple(offsets), at, where, backward, outside, frozenset(lying.free))


class _Lying(NamedTuple):
    """Which buffer each value lies in, and how far inside."""

    buffers: list[Buffer]
    scratches: dict[Node, int]
    owner: dict[Value, int]
    inside: dict[Value, int]  # only those that are parts of a larger value
    free: set[Node]


def least(
    graph: Graph,
    scratch: Callable[[Node], int] | None = None,
    overlap: Callable[[Node], Overlap | None] | None = None,
) -> int:
    """The bound of `plan` without its search: bytes that no placement goes below."""
    lying = _buffers(graph, scratch)
    return lower_bound(lying.buffers, _gaps(lying.buffers, _pairs(graph, lying, overlap)))


Pairs = dict[tuple[int, int], tuple[Node, Overlap]]


def _pairs(graph: Graph, lying: _Lying, overlap: Callable[[Node], Overlap | None] | None) -> Pairs:
    """(result, dying input) buffers that may overlap, with the node and how."""
    pairs: Pairs = {}
    if overlap is None:
        return pairs
    buffers, owner, inside = lying.buffers, lying.owner, lying.inside
    for index, node in enumerate(graph.nodes):
        source = owner.get(node.inputs[0]) if node.inputs and node.inputs[0] is not None else None
        made = owner.get(node.output)
        if source is None or made is None or source == made or buffers[source].last != index:
            continue
        if buffers[made].first != index or node.inputs[0] in inside or node.output in inside:
            continue
        if any(v is not None and owner.get(v) == source for v in node.inputs[1:]):
            continue  # what it reads there, it may read at any time
        allowed = overlap(node)
        if allowed is not None:
            pairs[made, source] = node, allowed
    return pairs


def _gaps(buffers: list[Buffer], pairs: Pairs) -> dict[tuple[int, int], Gap]:
    gaps = {}
    for (made, source), (_, allowed) in pairs.items():
        gap = allowed.gap(buffers[source].bytes, buffers[made].bytes)
        gaps[made, source], gaps[source, made] = gap, Gap(gap.behind, gap.before, gap.same)
    return gaps


class Region(NamedTuple):
    """A stretch of the arena that a state keeps from step to step."""

    offset: int
    bytes: int
    type: Type


def shared_states(graphs: Iterable[Graph]) -> dict[str, Region]:
    """The places of the states of graphs that run in one arena, by name: those of one name are one tensor.

    Raises ValueError where graphs differ about a state's type.
    """
    regions: dict[str, Region] = {}
    top = 0
    for graph in graphs:
        for state in graph.states:
            type = state.before.type
            region = regions.setdefault(state.name, Region(top, aligned(type.bytes), type))
            if region.type != type:
                raise ValueError(f"state {state.name!r} is {region.type} in one entry and {type} in another")
            top = max(top, region.offset + region.bytes)
    return regions


def _placed(
    buffers: list[Buffer], gaps: Gaps, graph: Graph, shared: Mapping[str, Region], work: int
) -> tuple[list[int], int, int]:
    """As `place`, with the shared states where they must be and nothing else among them."""
    if not shared:
        return place(buffers, gaps, work)
    fixed = {s.before: shared[s.name].offset for s in graph.states}
    held = {i: fixed[b.values[0]] for i, b in enumerate(buffers) if b.values and b.values[0] in fixed}
    free = [i for i in range(len(buffers)) if i not in held]
    number = {i: n for n, i in enumerate(free)}
    inner = {(number[i], number[j]): gap for (i, j), gap in gaps.items()}
    offsets, total, bound = place([buffers[i] for i in free], inner, work)
    base = max(region.offset + region.bytes for region in shared.values())
    merged = [held[i] if i in held else base + offsets[number[i]] for i in range(len(buffers))]
    return merged, base + total, base + bound


def _buffers(
    graph: Graph, scratch: Callable[[Node], int] | None, outside: frozenset[Value] = frozenset()
) -> _Lying:
    steps = len(graph.nodes)
    end = steps  # outputs and states outlive the last node, so nothing may be written over them there
    stored = {**graph.param_of, **dict.fromkeys(outside)}  # what lies elsewhere
    last: dict[Value, int] = {}
    for index, node in enumerate(graph.nodes):
        for v in node.inputs:
            if v is not None:
                last[v] = index
    forever = {s.before for s in graph.states}
    renewed = {s.after: s.before for s in graph.states}
    final = _last_reads(graph, last)
    for v in (*graph.outputs, *(s.after for s in graph.states), *forever):
        last[v] = end
    homes = _homes(graph, last, end)
    owner: dict[Value, int] = {}  # value -> buffer
    members: list[list[Value]] = []
    spans: list[list[int]] = []  # first, last, bytes
    inside: dict[Value, int] = {}
    free: set[Node] = set()

    def born(v: Value, step: int) -> None:
        owner[v] = len(members)
        members.append([v])
        spans.append([step, last.get(v, step), aligned(v.type.bytes)])

    def joined(v: Value, index: int, buffer: int, offset: int) -> None:
        owner[v] = buffer
        members[buffer].append(v)
        spans[buffer][1] = max(spans[buffer][1], last.get(v, index))
        if offset or v in homes:
            inside[v] = offset

    for v in graph.inputs:
        if v not in outside:
            born(v, 0)
    for s in graph.states:
        born(s.before, 0)
    for index, node in enumerate(graph.nodes):
        op, source = node.op, node.inputs[0] if node.inputs else None
        cuts = _cuts(node) if isinstance(op, (Slice, Split)) and source in owner else None
        held = cuts is not None and members[owner[source]][0] in forever  # type: ignore[index]
        if cuts is not None and not held and all(last.get(v) != end for v in node.outputs):
            free.add(node)
            for v, offset in zip(node.outputs, cuts):
                joined(v, index, owner[source], inside.get(source, 0) + offset)  # type: ignore[index, arg-type]
                inside.setdefault(v, 0)
            continue
        for v in node.outputs:
            if v in homes:
                whole, offset = _home(v, homes)
                if whole not in owner:
                    born(whole, index)
                joined(v, index, owner[whole], offset)
                continue
            if v in owner:  # a concatenation whose parts lie in it
                free.add(node)
                continue
            over: Value | None = None  # what it lies over
            if op.is_view or op.in_place:
                over = _shared(node, index, v, owner, inside, spans, stored, forever)
            elif op.updates:
                old = node.inputs[op.updates[node.outputs.index(v)]]
                over = old if old is not None and renewed.get(v) is old and final[old] == index else None
            if over is None:
                born(v, index)
            else:
                joined(v, index, owner[over], inside.get(over, 0))
                if over in inside:
                    inside[v] = inside[over]
    free.update(n for n in graph.nodes if n.output in homes and isinstance(n.op, Concat))
    buffers = [Buffer(tuple(m), *s) for m, s in zip(members, spans)]
    scratches: dict[Node, int] = {}
    if scratch is not None:
        for index, node in enumerate(graph.nodes):
            size = scratch(node)
            if size:
                scratches[node] = len(buffers)
                buffers.append(Buffer((), index, index, aligned(size)))
    return _Lying(buffers, scratches, owner, inside, free)


def _last_reads(graph: Graph, last: Mapping[Value, int]) -> dict[Value, int]:
    """Where the old value of each state is read last, as it is or through a view."""
    final = {s.before: last.get(s.before, -1) for s in graph.states}
    shown = {s.before: s.before for s in graph.states}  # a state or a view of it -> the state
    for node in graph.nodes:
        source = node.inputs[0] if node.op.is_view else None
        if source in shown:
            shown[node.output] = shown[source]
            final[shown[source]] = max(final[shown[source]], last.get(node.output, -1))
    return final


def _cuts(node: Node) -> list[int] | None:
    """Where the outputs of a slice or split lie inside its input, in bytes; None where they are no whole stretches."""
    x, op = node.inputs[0], node.op
    assert x is not None
    axis = next((i for i, n in enumerate(x.shape) if n != 1), 0)
    if isinstance(op, Split):
        if op.axis % len(x.shape) > axis:
            return None
        ends = list(accumulate(v.type.bytes for v in node.outputs))
        return [0, *ends[:-1]]
    assert isinstance(op, Slice)
    if any(s != 1 for s in op.steps) or node.output.shape[axis + 1 :] != x.shape[axis + 1 :]:
        return None
    return [op.starts[axis] * (x.type.bytes // x.shape[axis])] if x.type.size else None


def _homes(graph: Graph, last: Mapping[Value, int], end: int) -> dict[Value, tuple[Value, int]]:
    """Value -> the concatenation's result that it is a stretch of, and where in it, in bytes.

    Only where all parts are made by nodes of their own and are nothing else: no views, no outputs, no states.
    """
    homes: dict[Value, tuple[Value, int]] = {}
    for node in reversed(graph.nodes):
        if not isinstance(node.op, Concat):
            continue
        shape = node.output.shape
        if any(n != 1 for n in shape[: node.op.axis % len(shape)]) or len(set(node.inputs)) < len(node.inputs):
            continue
        makers = [graph.producers.get(v) for v in node.inputs if v is not None]
        if any(m is None or m.op.is_view or isinstance(m.op, (Slice, Split)) for m in makers):
            continue
        if any(v in homes or last[v] == end for v in node.inputs if v is not None):
            continue
        start = 0
        for v in node.inputs:
            assert v is not None
            homes[v] = node.output, start
            start += v.type.bytes
    return homes


def _home(v: Value, homes: Mapping[Value, tuple[Value, int]]) -> tuple[Value, int]:
    """The outermost value that `v` is a stretch of, and where in it."""
    whole, offset = homes[v]
    while whole in homes:
        whole, further = homes[whole]
        offset += further
    return whole, offset


def _shared(
    node: Node,
    index: int,
    v: Value,
    owner: dict[Value, int],
    inside: dict[Value, int],
    spans: list[list[int]],
    stored: Mapping[Value, object],
    forever: set[Value],
) -> Value | None:
    """The input that an output can lie over: a view's always, an elementwise result's where the input dies and no other
    operand lies elsewhere in the same buffer, whose elements would be written over before they are read."""
    if node.op.is_view:
        source = node.inputs[0]
        return source if source is not None and source not in stored else None
    for source in node.inputs:
        if source is None or source in stored or source in forever or source.shape != v.shape:
            continue
        mine = owner[source]
        beside = [o for o in node.inputs if o is not None and owner.get(o) == mine]
        if any(o.shape != source.shape or inside.get(o, 0) != inside.get(source, 0) for o in beside):
            continue
        if spans[mine][1] == index and source.type.bytes == v.type.bytes:
            return source
    return None
