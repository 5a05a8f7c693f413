"""Where every activation lies in one arena: lifetimes, aliases, overlaps, offsets.

Each buffer is a rectangle (first step, last step, bytes). Views share their source's buffer; an elementwise node may
write over an input that dies there. A kernel that reads ahead of what it writes may have its result lie over its dying
input, as far apart as the order of its reads and writes needs (`Overlap`). An op that updates a state does so in place
where nothing reads the old value later. Rectangles are then placed: several orders
are tried with lowest-offset first fit, then a search depth first; both stop as soon as the bound is met: the most that
must be alive at one step, overlaps counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from netwright.graph import Graph, Node, Type, Value

ALIGNMENT = 4
TRIES = 3000  # placements of the exact search before it gives up


class Buffer(NamedTuple):
    """One region of the arena: the values that share it, the steps it is alive (inclusive), its bytes."""

    values: tuple[Value, ...]
    first: int
    last: int
    bytes: int

    @property
    def name(self) -> str:
        return self.values[0].name if self.values else "scratch"


class Overlap(NamedTuple):
    """How a kernel's result may lie over its first input, in bytes.

    `forward`: from first to last pixel the result may begin this much before the input, or more; `backward`: from last
    to first this much behind it (None: the kernel has no such order); `same`: exactly over it.
    """

    forward: int | None = None
    backward: int | None = None
    same: bool = False


class Gap(NamedTuple):
    """Offsets of one buffer that another at `o` forbids: from o - `before` to o + `behind`, ends and perhaps o free."""

    before: int
    behind: int
    same: bool = False


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


def aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def plan(
    graph: Graph,
    scratch: Callable[[Node], int] | None = None,
    overlap: Callable[[Node], Overlap | None] | None = None,
    shared: Mapping[str, Region] | None = None,
) -> Plan:
    """Plan the inputs, states, activations and outputs of one graph; step i is node i, inputs are born at step 0.

    `scratch(node)` gives the bytes of working memory a kernel needs beside its tensors, `overlap(node)` how its result
    may lie over its first input. `shared` (see `shared_states`) has the places of states that several graphs hold in
    common; they come first, and everything else lies behind them.
    """
    buffers, scratches, owner = _buffers(graph, scratch)
    pairs = _pairs(graph, buffers, owner, overlap)
    gaps = _gaps(buffers, pairs)
    offsets, total, bound = _placed(buffers, gaps, graph, shared or {})
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


def least(
    graph: Graph,
    scratch: Callable[[Node], int] | None = None,
    overlap: Callable[[Node], Overlap | None] | None = None,
) -> int:
    """The bound of `plan` without its search: bytes that no placement goes below."""
    buffers, _, owner = _buffers(graph, scratch)
    return _bound(buffers, _gaps(buffers, _pairs(graph, buffers, owner, overlap)))


Pairs = dict[tuple[int, int], tuple[Node, Overlap]]


def _pairs(
    graph: Graph,
    buffers: list[Buffer],
    owner: Mapping[Value, int],
    overlap: Callable[[Node], Overlap | None] | None,
) -> Pairs:
    """(result, dying input) buffers that may overlap, with the node and how."""
    pairs: Pairs = {}
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
    return pairs


def _gaps(buffers: list[Buffer], pairs: Pairs) -> dict[tuple[int, int], Gap]:
    gaps = {}
    for (made, source), (_, allowed) in pairs.items():
        before = buffers[made].bytes if allowed.forward is None else min(allowed.forward, buffers[made].bytes)
        behind = buffers[source].bytes if allowed.backward is None else min(allowed.backward, buffers[source].bytes)
        before, behind = aligned(max(0, before)), aligned(max(0, behind))
        gaps[made, source], gaps[source, made] = Gap(before, behind, allowed.same), Gap(behind, before, allowed.same)
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
    buffers: list[Buffer], gaps: Gaps, graph: Graph, shared: Mapping[str, Region]
) -> tuple[list[int], int, int]:
    """As `place`, with the shared states where they must be and nothing else among them."""
    if not shared:
        return place(buffers, gaps)
    fixed = {s.before: shared[s.name].offset for s in graph.states}
    held = {i: fixed[b.values[0]] for i, b in enumerate(buffers) if b.values and b.values[0] in fixed}
    free = [i for i in range(len(buffers)) if i not in held]
    number = {i: n for n, i in enumerate(free)}
    inner = {(number[i], number[j]): gap for (i, j), gap in gaps.items()}
    offsets, total, bound = place([buffers[i] for i in free], inner)
    base = max(region.offset + region.bytes for region in shared.values())
    merged = [held[i] if i in held else base + offsets[number[i]] for i in range(len(buffers))]
    return merged, base + total, base + bound


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
    renewed = {s.after: s.before for s in graph.states}
    final = {s.before: last.get(s.before, -1) for s in graph.states}  # where the old value is read last
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
            source = None
            if node.op.is_view or node.op.in_place:
                source = _shared(node, index, v, owner, spans, stored, forever)
            elif node.op.updates:
                old = node.inputs[node.op.updates[node.outputs.index(v)]]
                source = owner[old] if old is not None and renewed.get(v) is old and final[old] == index else None
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


Gaps = Mapping[tuple[int, int], Gap]


def place(buffers: list[Buffer], gaps: Gaps | None = None) -> tuple[list[int], int, int]:
    """Offsets for rectangles, the arena's size, and the lower bound. `gaps[i, j]` replaces what j's bytes forbid i."""
    gaps = gaps or {}
    if not buffers:
        return [], 0, 0
    bound = _bound(buffers, gaps)
    indices = range(len(buffers))
    orders: tuple[Callable[[int], object], ...] = (
        lambda i: (-buffers[i].bytes, buffers[i].first),
        lambda i: (buffers[i].first, -buffers[i].bytes),
        lambda i: (-(buffers[i].last - buffers[i].first), -buffers[i].bytes),
        lambda i: -buffers[i].bytes * (buffers[i].last - buffers[i].first + 1),
    )
    near = _neighbours(buffers)
    best: list[int] | None = None
    size = 0
    for order in orders:
        offsets = _first_fit(buffers, sorted(indices, key=order), near, gaps)  # type: ignore[arg-type]
        top = max(o + b.bytes for o, b in zip(offsets, buffers))
        if best is None or top < size:
            best, size = offsets, top
        if size == bound:
            return offsets, size, bound
    assert best is not None
    for capacity in _capacities(bound, size):
        found = _within(buffers, capacity, near, gaps)
        if found is not None:
            return found, max(o + b.bytes for o, b in zip(found, buffers)), bound
    return best, size, bound


def _capacities(bound: int, size: int) -> Iterator[int]:
    """Sizes worth trying between the bound and what first fit found."""
    step = aligned(max(ALIGNMENT, (size - bound) // 8))
    yield from range(bound, size, step)


def _bound(buffers: list[Buffer], gaps: Gaps) -> int:
    """The most that must be alive at one step; a result over its input counts as much as the two cover together."""
    steps = max(b.last for b in buffers) + 1
    live = [0] * (steps + 1)
    for b in buffers:
        live[b.first] += b.bytes
        live[b.last + 1] -= b.bytes
    spared = [0] * steps
    for (i, j), gap in gaps.items():
        if buffers[i].first != buffers[j].last:
            continue  # each pair once: i is the result
        step, made, source = buffers[i].first, buffers[i].bytes, buffers[j].bytes
        covered = min(
            made + source,
            max(gap.before + source, made),
            max(gap.behind + made, source),
            max(made, source) if gap.same else made + source,
        )
        spared[step] = max(spared[step], made + source - covered)
    bound = running = 0
    for step in range(steps):
        running += live[step]
        bound = max(bound, running - spared[step])
    return bound


def _neighbours(buffers: list[Buffer]) -> list[list[int]]:
    """For each buffer those that are alive at one step with it."""
    near: list[list[int]] = [[] for _ in buffers]
    order = sorted(range(len(buffers)), key=lambda i: buffers[i].first)
    alive: list[int] = []
    for i in order:
        alive = [j for j in alive if buffers[j].last >= buffers[i].first]
        for j in alive:
            near[i].append(j)
            near[j].append(i)
        alive.append(i)
    return near


Stretch = tuple[int, int, int]  # offsets between the first two are taken, but for the third (-1: none)


def _taken(i: int, others: Iterable[int], buffers: list[Buffer], offsets: list[int], gaps: Gaps) -> list[Stretch]:
    """What the others, placed at their offsets, leave no room for buffer `i` at."""
    size, taken = buffers[i].bytes, []
    for j in others:
        at, gap = offsets[j], gaps.get((i, j))
        if gap is None:
            taken.append((at - size, at + buffers[j].bytes, -1))
        else:
            taken.append((at - gap.before, at + gap.behind, at if gap.same else -1))
    return taken


def _free(offset: int, taken: list[Stretch]) -> bool:
    """Whether an offset is allowed by all buffers placed so far."""
    for start, end, but in taken:  # noqa: SIM110 (a generator would take twice the time)
        if start < offset < end and offset != but:
            return False
    return True


def _within(buffers: list[Buffer], capacity: int, near: list[list[int]], gaps: Gaps) -> list[int] | None:
    """Offsets inside `capacity` by depth-first search in order of birth, each buffer against another or at an end of
    the arena, which is how a chain of layers always fits. None when TRIES placements did not do."""
    order = sorted(range(len(buffers)), key=lambda i: (buffers[i].first, -buffers[i].bytes))
    rank = {i: position for position, i in enumerate(order)}
    offsets = [0] * len(buffers)
    tries = 0

    def edges(position: int) -> list[int]:
        i = order[position]
        last = capacity - buffers[i].bytes
        taken = _taken(i, (j for j in near[i] if rank[j] < position), buffers, offsets, gaps)
        found = {0, last}
        for edge in taken:
            found.update(edge)
        allowed = [o for o in found if 0 <= o <= last and _free(o, taken)]
        return sorted(allowed, key=lambda o: (o not in (0, last), o))

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


def _first_fit(buffers: list[Buffer], order: list[int], near: list[list[int]], gaps: Gaps) -> list[int]:
    """Each buffer in turn at the lowest offset that those placed before allow."""
    offsets = [0] * len(buffers)
    placed: set[int] = set()
    for i in order:
        taken = _taken(i, [j for j in near[i] if j in placed], buffers, offsets, gaps)
        if not _free(0, taken):
            edges = sorted({o for edge in taken for o in edge if o > 0})
            offsets[i] = next(o for o in edges if _free(o, taken))
        placed.add(i)
    return offsets
