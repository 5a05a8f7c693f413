"""A proof by exhaustive search that buffers do not fit into a capacity.

Buffers are placed in the order of their offsets, each at the lowest that those before it allow; so every set of offsets
has a counterpart that is as small (Moffitt 2023, "MiniMalloc: a lightweight memory allocator for hardware-accelerated
machine learning"). One that may lie exactly over another may also wait above for it to do so. A branch ends where the
buffers left at one step, none below its lowest offset, reach too high, and where a buffer left would fit whole below
the next.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from netwright.compile.placement import Buffer, Gap, _live, covered

Gaps = Mapping[tuple[int, int], Gap]


def impossible(buffers: Sequence[Buffer], gaps: Gaps, capacity: int, states: int = 3_000) -> bool:
    """Whether it is proven that no offsets keep all buffers inside `capacity` bytes; False where `states` run out.

    Tried first for only those buffers that are alive where most is alive: what is impossible for some is so for all.
    """
    live = _live(buffers, gaps)
    for share in (0.95, 0.9, 0.8, 0.6, 0.0):
        full = {step for step, held in enumerate(live) if held >= share * max(live)}
        some = [i for i, b in enumerate(buffers) if any(step in full for step in range(b.first, b.last + 1))]
        number = {i: n for n, i in enumerate(some)}
        inner = {(number[i], number[j]): gap for (i, j), gap in gaps.items() if i in number and j in number}
        if not _Search([buffers[i] for i in some], inner, capacity, states).fits([-1] * len(some), 0):
            return True
    return False


class _Search:
    def __init__(self, buffers: Sequence[Buffer], gaps: Gaps, capacity: int, states: int) -> None:
        self.size = [b.bytes for b in buffers]
        self.capacity = capacity
        self.states = states
        self.seen: set[tuple[int, ...]] = set()
        count = len(buffers)
        self.near: list[list[tuple[int, int, int]]] = [[] for _ in buffers]  # as placement._neighbours has them
        self.same: list[list[int]] = [[] for _ in buffers]  # those it may lie exactly over or under
        for i in range(count):
            for j in range(count):
                if i != j and buffers[i].first <= buffers[j].last and buffers[j].first <= buffers[i].last:
                    gap = gaps.get((i, j), Gap(buffers[i].bytes, buffers[j].bytes))
                    if gap.same:
                        self.near[i] += (j, gap.before, 0), (j, 0, gap.behind)
                        self.same[i].append(j)
                    else:
                        self.near[i].append((j, gap.before, gap.behind))
        self.steps: list[tuple[list[int], int]] = []  # who is alive, and what overlaps may spare
        for step in sorted({b.first for b in buffers}):
            alive = [i for i, b in enumerate(buffers) if b.first <= step <= b.last]
            spared = 0
            for i in alive:
                for j in alive:
                    gap = gaps.get((i, j))
                    if gap is not None and buffers[i].first == buffers[j].last == step:
                        one, two = buffers[j].bytes, buffers[i].bytes
                        spared = max(spared, one + two - covered(one, two, gap))
            self.steps.append((alive, spared))

    def fits(self, offsets: list[int], height: int) -> bool:
        """Whether the buffers left may fit at `height` or above; True where it is not known."""
        self.states -= 1
        if self.states < 0:
            return True
        left = [i for i, offset in enumerate(offsets) if offset < 0]
        if not left:
            return True
        waits = {i: any(offsets[j] < 0 for j in self.same[i]) for i in left}
        places = {i: self._places(i, offsets, height) for i in left}
        lowest = {i: p[0] for i, p in places.items()}
        if any(self._reach(alive, lowest) - spared > self.capacity for alive, spared in self.steps):
            return False
        ceiling = min((lowest[i] + self.size[i] for i in left if not waits[i]), default=self.capacity + 1)
        for i in sorted(left, key=lambda i: (lowest[i], -self.size[i])):
            for place in places[i] if waits[i] else places[i][:1]:
                if place >= ceiling or place + self.size[i] > self.capacity:
                    break
                offsets[i] = place
                key = tuple(offsets)
                if key not in self.seen:
                    self.seen.add(key)
                    if self.fits(offsets, place):
                        return True
                offsets[i] = -1
        return False

    def _places(self, i: int, offsets: list[int], height: int) -> list[int]:
        """Offsets of buffer i, not below `height`, at which it touches one below it, or `height` itself."""
        taken = [(offsets[j] - before, offsets[j] + behind) for j, before, behind in self.near[i] if offsets[j] >= 0]
        ends = {height, *(end for _, end in taken if end > height)}
        return sorted(at for at in ends if not any(start < at < end for start, end in taken))

    def _reach(self, alive: list[int], lowest: Mapping[int, int]) -> int:
        """How high the buffers left at a step reach at least."""
        top = 0
        for i in sorted((i for i in alive if i in lowest), key=lowest.__getitem__):
            top = max(top, lowest[i]) + self.size[i]
        return top
