"""Decisions about a collection: which members, or in what order."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import combinations, permutations
from typing import Any

from netwright.spaces.domain import Domain, Draw, cumulative, freeze


class Subsets(Domain):
    """min to max different members of `values`, in their given order.

    The prior is the probability of each member, as if all were drawn alone and only subsets of a legal size kept.
    """

    kind = "subset"
    __slots__ = ("_left", "_places", "_prior", "_sizes", "high", "low", "size", "values", "width")

    def __init__(self, values: Sequence[Any], low: int, high: int, prior: Sequence[float] | None = None) -> None:
        self.values = tuple(freeze(value) for value in values)
        self._places = {value: place for place, value in enumerate(self.values)}
        if not 0 <= low <= high <= len(self.values) or len(self._places) < len(self.values):
            raise ValueError(f"a subset of {self.values!r} needs different values and 0 <= min <= max <= "
                             f"{len(self.values)}, not min {low}, max {high}")
        self.low, self.high, self.width = low, high, max(len(self.values), 1)
        counts = [math.comb(len(self.values), count) for count in range(low, high + 1)]
        self.size = sum(counts)
        self._sizes = cumulative(counts)
        if prior is not None and (len(prior) != len(self.values) or not all(0 <= share <= 1 for share in prior)):
            raise ValueError(f"prior {prior!r} must give each of {len(self.values)} members a probability")
        self._prior = None if prior is None else tuple(prior)
        self._left = self._ends(tuple(prior)) if prior is not None else []
        if prior is not None and not self._left[0][0] > 0:
            raise ValueError(f"prior {prior!r} allows no subset with {low} to {high} members")

    def _ends(self, prior: tuple[float, ...]) -> list[list[float]]:
        """ends[i][k]: the probability that members i, i + 1, ... bring k chosen ones to a legal size."""
        ends = [[float(self.low <= count <= self.high) for count in range(len(prior) + 2)]]
        for share in reversed(prior):
            after = ends[0]
            ends.insert(0, [share * after[min(k + 1, len(prior) + 1)] + (1 - share) * after[k]
                            for k in range(len(prior) + 2)])
        return ends

    def draw_prior(self, draw: Draw) -> tuple[Any, ...]:
        if self._prior is None:
            return self.draw(draw)
        places: list[int] = []
        for place, share in enumerate(self._prior):
            count = len(places)
            if draw() * self._left[place][count] < share * self._left[place + 1][count + 1]:
                places.append(place)
        return self._pick(places)

    def draw(self, draw: Draw) -> tuple[Any, ...]:
        count = self.low + min(bisect_right(self._sizes, draw()), self.high - self.low)
        pool = list(range(len(self.values)))
        return self._pick([pool.pop(int(draw() * len(pool))) for _ in range(count)])

    def _pick(self, places: Sequence[int]) -> tuple[Any, ...]:
        return tuple(self.values[place] for place in sorted(places))

    def canonical(self, value: Any) -> tuple[Any, ...]:
        if not isinstance(value, (list, tuple)):
            raise self._refuse(value)
        places = [self._places.get(item) for item in freeze(value)]
        if None in places or len(set(places)) < len(places) or not self.low <= len(places) <= self.high:
            raise self._refuse(value)
        return self._pick([place for place in places if place is not None])

    def neighbours(self, value: tuple[Any, ...]) -> list[Any]:
        """One member more, less, or exchanged."""
        inside = {self._places[item] for item in value}
        outside = [place for place in range(len(self.values)) if place not in inside]
        found = [self._pick(sorted(inside - {place})) for place in inside if len(inside) > self.low]
        found += [self._pick(sorted(inside | {place})) for place in outside if len(inside) < self.high]
        return found + [self._pick(sorted(inside - {gone} | {new})) for gone in inside for new in outside]

    def encode(self, value: tuple[Any, ...]) -> tuple[float, ...]:
        return tuple(float(item in value) for item in self.values) or (0.0,)

    def distance(self, a: tuple[Any, ...], b: tuple[Any, ...]) -> float:
        return len(set(a) ^ set(b)) / max(len(self.values), 1)

    def __iter__(self) -> Iterator[Any]:
        for count in range(self.low, self.high + 1):
            yield from combinations(self.values, count)

    def __str__(self) -> str:
        return f"the subsets of {list(self.values)!r} with {self.low} to {self.high} members"


class Permutations(Domain):
    """`values` in some order."""

    kind = "permutation"
    __slots__ = ("_places", "size", "values", "width")

    def __init__(self, values: Sequence[Any]) -> None:
        self.values = tuple(freeze(value) for value in values)
        self._places = {value: place for place, value in enumerate(self.values)}
        if not self.values or len(self._places) < len(self.values):
            raise ValueError(f"a permutation needs values that differ, not {self.values!r}")
        self.size, self.width = math.factorial(len(self.values)), len(self.values)

    def draw(self, draw: Draw) -> tuple[Any, ...]:
        pool = list(self.values)
        return tuple(pool.pop(int(draw() * len(pool))) for _ in self.values)

    def canonical(self, value: Any) -> tuple[Any, ...]:
        if not isinstance(value, (list, tuple)):
            raise self._refuse(value)
        places = [self._places.get(item) for item in freeze(value)]
        if len(places) != len(self.values) or set(places) != set(range(len(self.values))):
            raise self._refuse(value)
        return tuple(self.values[place] for place in places if place is not None)

    def neighbours(self, value: tuple[Any, ...]) -> list[Any]:
        """Two members exchanged."""
        found = []
        for one, two in combinations(range(len(value)), 2):
            swapped = list(value)
            swapped[one], swapped[two] = swapped[two], swapped[one]
            found.append(tuple(swapped))
        return found

    def encode(self, value: tuple[Any, ...]) -> tuple[float, ...]:
        last = max(len(value) - 1, 1)
        return tuple(value.index(item) / last for item in self.values)

    def distance(self, a: tuple[Any, ...], b: tuple[Any, ...]) -> float:
        return sum(one != two for one, two in zip(a, b)) / len(a)

    def __iter__(self) -> Iterator[Any]:
        return permutations(self.values)

    def __str__(self) -> str:
        return f"the orders of {list(self.values)!r}"
