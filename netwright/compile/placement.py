"""Rectangles into one arena: offsets for buffers of known lifetimes, and the bound that none can go below.

First fit in several orders meets the bound for most networks. Where it does not, the order is mended: what came to lie
beyond the bound is placed earlier, now and then at the upper end of the arena instead of the lower, and all is placed
anew ("squeaky wheel" optimisation, Joslin and Clements 1999). It begins again from each first order in turn until the
bound is met or WORK placements are done, so that the time is bounded and the result the same on every machine.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from operator import itemgetter
from typing import NamedTuple

from netwright.graph import Value

ALIGNMENT = 4
WORK = 200_000  # buffers placed by the search before it gives up
ROUND = 50  # times an order is mended before another is begun with


class Buffer(NamedTuple):
    """One region of the arena: the values that share it, the steps it is alive (inclusive), its bytes."""

    values: tuple[Value, ...]
    first: int
    last: int
    bytes: int

    @property
    def name(self) -> str:
        return self.values[0].name if self.values else "scratch"


class Gap(NamedTuple):
    """Offsets of one buffer that another at `o` forbids: from o - `before` to o + `behind`, ends and perhaps o free."""

    before: int
    behind: int
    same: bool = False


def aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


Gaps = Mapping[tuple[int, int], Gap]
Near = tuple[int, int, int]  # a buffer, and how far before and behind its offset no other's may be, ends excluded


def place(buffers: list[Buffer], gaps: Gaps | None = None, work: int = WORK) -> tuple[list[int], int, int]:
    """Offsets for rectangles, the arena's size, and the lower bound. `gaps[i, j]` replaces what j's bytes forbid i.

    `work`: how many buffers the search may place, where first fit does not meet the bound.
    """
    gaps = gaps or {}
    if not buffers:
        return [], 0, 0
    live = _live(buffers, gaps)
    bound = max(live)
    near = _neighbours(buffers, gaps)
    low = [False] * len(buffers)
    tried: list[tuple[int, list[int], list[int]]] = []  # size, order, offsets
    for order in _orders(buffers, live):
        offsets = _fit(buffers, order, near, low, bound)
        size = _top(buffers, offsets)
        if size == bound:
            return offsets, size, bound
        tried.append((size, order, offsets))
    tried.sort(key=lambda t: t[0])
    size, _, best = tried[0]
    rng = random.Random(0)
    for number in range(work):
        _, start, offsets = tried[number % len(tried)]
        offsets = offsets[:]
        for order, high in _mended(buffers, start, offsets, near, bound, rng):
            offsets[:] = _fit(buffers, order, near, high, bound)
            work -= len(buffers)
            top = _top(buffers, offsets)
            if top < size:
                size, best = top, offsets[:]
            if size == bound or work <= 0:
                return best, size, bound
    return best, size, bound


def _mended(
    buffers: list[Buffer], order: list[int], offsets: list[int], near: list[list[Near]], bound: int, rng: random.Random
) -> Iterator[tuple[list[int], list[bool]]]:
    """Orders and ends that are better for what lies beyond the bound; `offsets` are read anew each time."""
    count = len(buffers)
    rank = [0.0] * count
    high = [False] * count
    for _ in range(ROUND):
        for place, i in enumerate(order):
            rank[i] = float(place)
        for i, b in enumerate(buffers):
            if offsets[i] + b.bytes <= bound:
                continue
            if rng.random() < 0.5:
                rank[i] = min(rank[i], *(rank[j] for j, *_ in near[i])) - rng.random()
            else:
                rank[i] -= rng.random() * 0.3 * count
            if rng.random() < 0.4:
                turned = rng.choice([i, *(j for j, *_ in near[i])])
                high[turned] = not high[turned]
        order = sorted(range(count), key=rank.__getitem__)
        yield order, high


def _orders(buffers: list[Buffer], live: list[int]) -> Iterator[list[int]]:
    """Orders that first fit does well with: by size, by how much is alive beside it, by lifetime, by area."""
    size = [b.bytes for b in buffers]
    first = [b.first for b in buffers]
    life = [b.last - b.first + 1 for b in buffers]
    indices = range(len(buffers))
    yield sorted(indices, key=lambda i: (-size[i], first[i]))
    beside = [max(live[b.first : b.last + 1]) for b in buffers]
    keys: tuple[Callable[[int], tuple[int, ...]], ...] = (
        lambda i: (-beside[i], -life[i], -size[i]),
        lambda i: (-beside[i], -life[i] * size[i]),
        lambda i: (-beside[i], -size[i]),
        lambda i: (-life[i] * size[i],),
        lambda i: (-life[i], -size[i]),
        lambda i: (first[i], -size[i]),
    )
    for key in keys:
        yield sorted(indices, key=key)


def _top(buffers: list[Buffer], offsets: list[int]) -> int:
    return max(o + b.bytes for o, b in zip(offsets, buffers))


def covered(source: int, made: int, gap: Gap) -> int:
    """The fewest bytes that an input and its result take up together; `gap` as the result sees it."""
    return min(
        made + source,
        max(gap.before + source, made),
        max(gap.behind + made, source),
        max(made, source) if gap.same else made + source,
    )


def lower_bound(buffers: list[Buffer], gaps: Gaps) -> int:
    """Bytes that no placement goes below: the most that is alive at one step."""
    return max(_live(buffers, gaps), default=0) if buffers else 0


def _live(buffers: list[Buffer], gaps: Gaps) -> list[int]:
    """The least that is alive at each step; a result over its input counts as much as the two cover together."""
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
        spared[step] = max(spared[step], made + source - covered(source, made, gap))
    running, least = 0, []
    for step in range(steps):
        running += live[step]
        least.append(running - spared[step])
    return least


def _neighbours(buffers: list[Buffer], gaps: Gaps) -> list[list[Near]]:
    """For each buffer those that are alive at one step with it."""
    near: list[list[Near]] = [[] for _ in buffers]
    alive: list[int] = []
    for i in sorted(range(len(buffers)), key=lambda i: buffers[i].first):
        _, first, _, size = buffers[i]
        alive = [j for j in alive if buffers[j].last >= first]
        for j in alive:
            gap = gaps.get((i, j))
            if gap is None:
                other = buffers[j].bytes
                near[i].append((j, size, other))
                near[j].append((i, other, size))
            elif gap.same:  # just there it may lie
                near[i] += (j, gap.before, 0), (j, 0, gap.behind)
                near[j] += (i, gap.behind, 0), (i, 0, gap.before)
            else:
                near[i].append((j, gap.before, gap.behind))
                near[j].append((i, gap.behind, gap.before))
        alive.append(i)
    return near


def _fit(
    buffers: list[Buffer], order: list[int], near: list[list[Near]], high: list[bool], capacity: int
) -> list[int]:
    """Each buffer in turn at the lowest offset that those placed before allow, or at the highest inside `capacity`."""
    offsets = [-1] * len(buffers)
    for i in order:
        taken = []  # no offset between the two, ends excluded
        for j, before, behind in near[i]:
            at = offsets[j]
            if at >= 0:
                taken.append((at - before, at + behind))
        if high[i]:
            offset = capacity - buffers[i].bytes
            for start, end in sorted(taken, key=_end, reverse=True):
                if end <= offset:
                    break
                offset = min(offset, start)
            offsets[i] = offset
        if offsets[i] < 0:
            offset = 0
            taken.sort()
            for start, end in taken:
                if start >= offset:
                    break
                if end > offset:
                    offset = end
            offsets[i] = offset
    return offsets


_end = itemgetter(1)
