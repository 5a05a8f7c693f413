"""Rectangles into one arena: offsets for buffers of known lifetimes, and the bound that none can go below.

First fit in several orders meets the bound for most networks. Where it does not, a search asks whether all fits into a
capacity: first the bound, then by bisection sizes between it and the best known. It works on the hard buffers only: one
that finds room however its neighbours lie is set aside and placed at the end. The others are placed by first fit, each
at its end of the arena; one that finds no room moves before a neighbour that failed less often than it did ("squeaky
wheel" optimisation, Joslin and Clements 1999, with the failures counted over all rounds), now and then a buffer changes
ends, and only what this may change is placed anew. After ROUND failures it begins again with another order. WORK bounds
how many buffers are placed, so that the time is bounded and the result the same on every machine.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import cycle
from operator import itemgetter
from typing import NamedTuple

from netwright.graph import Value

ALIGNMENT = 4
WORK = 80_000  # buffers placed by the search before it gives up
ROUND = 100  # times an order is mended before another is begun with


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
    tried: list[list[int]] = []
    for order in _orders(buffers, live):
        tried.append(_fit(buffers, order, near))
        if _top(buffers, tried[-1]) == bound:
            return tried[-1], bound, bound
    best = min(tried, key=lambda offsets: _top(buffers, offsets))
    if work:
        shapes = tuple(b._replace(values=()) for b in buffers)
        best = list(_squeezed(shapes, tuple(gaps.items()), bound, tuple(best), work))
    return best, _top(buffers, best), bound


@lru_cache(maxsize=16)  # a network is planned to find its order, and again in that order
def _squeezed(
    buffers: tuple[Buffer, ...],
    gaps: tuple[tuple[tuple[int, int], Gap], ...],
    bound: int,
    known: tuple[int, ...],
    work: int,
) -> tuple[int, ...]:
    """Offsets for the least capacity that a search finds any for; `known` are some to begin with."""
    near = _neighbours(buffers, dict(gaps))
    live = _live(buffers, dict(gaps))
    best, size = known, _top(buffers, known)
    capacity, failed = bound, bound
    share = work * 3 // 4
    starts = [_Start(order, frozenset()) for order in _orders(buffers, live)]
    while share > 0:
        found, placed = _within(buffers, near, starts, capacity, share)
        if found is None:
            failed = capacity
        else:
            best, start = tuple(found[0]), found[1]
            size = _top(buffers, best)
            starts = [start, *starts[:-1]]
        capacity = (failed + size) // 2 // ALIGNMENT * ALIGNMENT
        if size == bound or capacity <= failed:
            break
        work -= placed
        share = work // 2
    return best


class _Start(NamedTuple):
    """What first fit begins with: an order, and the buffers that go to the upper end."""

    order: list[int]
    high: frozenset[int]


def _within(
    buffers: Sequence[Buffer], near: list[list[Near]], starts: list[_Start], capacity: int, work: int
) -> tuple[tuple[list[int], _Start] | None, int]:
    """Offsets inside a capacity and what first fit found them with, if it did; and how many buffers were placed."""
    easy = _easy(buffers, near, capacity)
    aside = set(easy)
    inner = [[n for n in near[i] if n[0] not in aside] for i in range(len(buffers))]
    mending = _Mending(buffers, inner, capacity, work)
    for start in cycle(starts):
        order = [i for i in start.order if i not in aside]
        high = [i in start.high for i in range(len(buffers))]
        offsets = mending.round(order, high)
        if offsets is not None:
            used = _Start(order + easy[::-1], frozenset(i for i in order if high[i]))
            return (_fit(buffers, easy[::-1], near, offsets), used), work - mending.work
        if mending.work <= 0:
            break
    return None, work - mending.work


def _easy(buffers: Sequence[Buffer], near: list[list[Near]], capacity: int) -> list[int]:
    """Buffers that find room however their neighbours lie, each among those that are neither easy nor before it."""
    blocked = [0] * len(buffers)  # offsets that neighbours can forbid, in units of ALIGNMENT
    for i, others in enumerate(near):
        blocked[i] = sum(_forbidden(before, behind) for _, before, behind in others)
    easy: list[int] = []
    left = sorted(range(len(buffers)), key=lambda i: buffers[i].bytes)
    while True:
        found = [i for i in left if blocked[i] <= (capacity - buffers[i].bytes) // ALIGNMENT]
        if not found:
            return easy
        for i in found:
            for j, before, behind in near[i]:
                blocked[j] -= _forbidden(before, behind)
        easy += found
        aside = set(found)
        left = [i for i in left if i not in aside]


def _forbidden(before: int, behind: int) -> int:
    """Aligned offsets between two ends that are free."""
    return max(0, (before + behind) // ALIGNMENT - 1)


class _Mending:
    """Rounds of first fit into a capacity in orders that are mended; what failed often is known to the next round."""

    def __init__(self, buffers: Sequence[Buffer], near: list[list[Near]], capacity: int, work: int) -> None:
        self.near = near
        self.others = [sorted({j for j, *_ in n}) for n in near]
        self.room = [capacity - b.bytes for b in buffers]
        self.failures = [0] * len(buffers)
        self.rng = random.Random(0)
        self.work = work

    def round(self, order: list[int], high: list[bool]) -> list[int] | None:
        """Offsets of the buffers in `order`; -1 for all others. Order and ends change."""
        near, others, room, rng = self.near, self.others, self.room, self.rng
        count = len(room)
        offsets = [-1] * count
        stale = [True] * count  # to be placed anew
        place = [0] * count
        for p, i in enumerate(order):
            place[i] = p
        p = failed = 0
        while p < len(order):
            i = order[p]
            if not stale[i]:
                p += 1
                continue
            self.work -= 1
            taken = [(offsets[j] - before, offsets[j] + behind) for j, before, behind in near[i] if place[j] < p]
            offset = _highest(taken, room[i]) if high[i] else _lowest(taken)
            if 0 <= offset <= room[i]:
                stale[i] = False
                if offset != offsets[i]:
                    offsets[i] = offset
                    for j in others[i]:
                        if place[j] > p:
                            stale[j] = True
                p += 1
                continue
            failed += 1
            self.failures[i] += 1
            if failed > ROUND or self.work <= 0:
                return None
            before = [j for j in others[i] if place[j] < p]
            to = place[rng.choice([j for j in before if self.failures[j] < self.failures[i]] or before)]
            order.insert(to, order.pop(p))
            for q in range(to, p + 1):
                place[order[q]] = q
            stale[i] = True
            offsets[i] = -1
            for j in others[i]:
                if place[j] > to:
                    stale[j] = True
            p = to
            if rng.random() < 0.4:
                turned = rng.choice([i, *others[i]]) if rng.random() < 0.7 else i
                high[turned] = not high[turned]
                stale[turned] = True
                p = min(p, place[turned])
        return offsets


def _orders(buffers: Sequence[Buffer], live: list[int]) -> Iterator[list[int]]:
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


def _top(buffers: Sequence[Buffer], offsets: Sequence[int]) -> int:
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


def _live(buffers: Sequence[Buffer], gaps: Gaps) -> list[int]:
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


def _neighbours(buffers: Sequence[Buffer], gaps: Gaps) -> list[list[Near]]:
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
    buffers: Sequence[Buffer], order: list[int], near: list[list[Near]], placed: list[int] | None = None
) -> list[int]:
    """Each buffer in turn at the lowest offset that those placed before allow."""
    offsets = [-1] * len(buffers) if placed is None else placed
    for i in order:
        taken = []  # no offset between the two, ends excluded
        for j, before, behind in near[i]:
            at = offsets[j]
            if at >= 0:
                taken.append((at - before, at + behind))
        offsets[i] = _lowest(taken)
    return offsets


def _lowest(taken: list[tuple[int, int]]) -> int:
    """The lowest offset that is inside none of the stretches."""
    offset = 0
    taken.sort()
    for start, end in taken:
        if start >= offset:
            break
        if end > offset:
            offset = end
    return offset


def _highest(taken: list[tuple[int, int]], offset: int) -> int:
    """The highest offset up to `offset` that is inside none of the stretches; may be negative."""
    taken.sort(key=_end, reverse=True)
    for start, end in taken:
        if end <= offset:
            break
        offset = min(offset, start)
    return offset


_end = itemgetter(1)
