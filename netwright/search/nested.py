"""A search inside a search: an outer strategy over a part of the space, an inner one over the rest.

The factorised flow of PyGlove (Peng et al. 2020, section 3.3): decisions that matter most, or that are dear to change
(an architecture), are made outside, and for each of them others (a device's configuration) are searched anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from netwright.search.base import Metrics, Objective, SpaceLike, Status, Strategy, Told, Trial
from netwright.search.registry import get

Factory = Callable[..., Strategy]


class Divisible(SpaceLike, Protocol):
    """A space that may be divided (see `netwright.spaces.Space.part` and `fix`)."""

    addresses: Sequence[str]

    def part(self, where: Any) -> Any: ...
    def fix(self, decisions: Mapping[str, Any]) -> Any: ...


class Nested(Strategy):
    """For each candidate that `outer` asks of `space.part(where)`, `each` trials of `inner` over the space of the rest.

        Nested(space, objectives, where="architecture", outer="regularised-evolution", inner="random", each=8)

    outer, inner  names of strategies, or functions that make one as (space, objectives, seed=..., ...)
    The outer strategy is told the best of the `each` results, "failed" where all failed. `accept`, `score` and `unique`
    hold for the inner searches, which see whole candidates. It is rebuilt from a log as any strategy is.
    """

    name = "nested"

    def __init__(self, space: Divisible, objectives: Sequence[Objective], *, where: Any,
                 outer: str | Factory = "regularised-evolution", inner: str | Factory = "random", each: int = 8,
                 seed: int = 0, **settings: Any) -> None:
        super().__init__(space, objectives, seed=seed, **settings)
        if each < 1 or self.initial:
            raise ValueError(f"a nested search makes at least 1 inner trial (each={each}) and takes no first candidates")
        self.whole, self.each, self.settings = space, each, settings
        part = space.part(where)
        self.part_addresses = tuple(part.addresses)
        self.outer = (get(outer) if isinstance(outer, str) else outer)(part, objectives, seed=seed)
        self._make_inner: Factory = get(inner) if isinstance(inner, str) else inner
        self._inner: dict[int, Strategy] = {}
        self._open: dict[int, list[tuple[Told, Metrics]]] = {}

    def tell(self, trial: Trial, metrics: Metrics, status: Status = "ok") -> None:
        super().tell(trial, metrics, status)
        block, place = divmod(trial.number, self.each)
        inner = self._inner[block]
        inner.tell(Trial(place, trial.candidate), metrics, status)
        results = self._open[block]
        results.append((inner.told[-1], metrics))
        if len(results) == self.each:
            self._close(block, results)

    def _next(self, number: int) -> Trial:
        block, place = divmod(number, self.each)
        if block not in self._inner:
            self._begin(block, self.outer.ask()[0].candidate)
        (found,) = self._inner[block].ask()
        return Trial(number, found.candidate, found.fidelity, None)

    def restore(self, trial: Trial) -> None:
        super().restore(trial)
        block, place = divmod(trial.number, self.each)
        if block not in self._inner:
            candidate = self.outer.space.walk(lambda address, domain: trial.candidate[address])[1]
            self.outer.restore(Trial(block, candidate))
            self._begin(block, candidate)
        self._inner[block].restore(Trial(place, trial.candidate))

    def _begin(self, block: int, decisions: Mapping[str, Any]) -> None:
        rest = self.whole.fix(decisions)
        self._inner[block] = self._make_inner(rest, self.objectives, seed=hash((self.seed, block)), **self.settings)
        self._open[block] = []

    def _close(self, block: int, results: Sequence[tuple[Told, Metrics]]) -> None:
        """Tell the outer strategy the best of a finished inner search, and forget that."""
        known = [(told, metrics) for told, metrics in results if told.status == "ok"] or [
            (told, metrics) for told, metrics in results if told.status != "failed"] or list(results)
        told, metrics = min(known, key=lambda result: result[0].order())
        decisions = self.outer.space.walk(lambda address, domain: told.trial.candidate[address])[1]
        self.outer.tell(Trial(block, decisions), metrics, told.status)
        del self._inner[block], self._open[block]
