"""A search inside a search: an outer strategy over a part of the space, an inner one over the rest.

The factorised flow of PyGlove (Peng et al. 2020, section 3.3): decisions that matter most, or that are dear to change
(an architecture), are made outside, and for each of them others (a device's configuration) are searched anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from netwright.errors import Refused
from netwright.search.base import Metrics, Objective, SpaceLike, Status, Strategy, Told, Trial
from netwright.search.registry import get

Factory = Callable[..., Strategy]


class Divisible(SpaceLike, Protocol):
    """A space that may be divided (see `netwright.spaces.Space.part` and `fix`)."""

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
            raise ValueError(f"a nested search makes at least 1 inner trial, not {each}, and takes no first candidates")
        self.whole, self.each, self.settings = space, each, settings
        self.outer = (get(outer) if isinstance(outer, str) else outer)(space.part(where), objectives, seed=seed)
        self._make_inner: Factory = get(inner) if isinstance(inner, str) else inner
        self._inner: dict[int, Strategy] = {}
        self._trials: dict[int, Trial] = {}
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
        (found,) = self._search(number // self.each).ask()
        return Trial(number, found.candidate, found.fidelity)

    def restore(self, trial: Trial) -> None:
        super().restore(trial)
        block, place = divmod(trial.number, self.each)
        self._search(block, trial.candidate).restore(Trial(place, trial.candidate))

    def _search(self, block: int, known: Any = None) -> Strategy:
        """The inner search number `block`; a new one stands on the next outer trial, or on that of a `known` candidate.

        Outer candidates that leave no candidate for the inner search are told as infeasible. Refused after `tries`.
        """
        if block in self._inner:
            return self._inner[block]
        for _ in range(self.tries):
            (trial,) = self.outer.ask()
            if known is not None and any(known.get(at) != value for at, value in trial.candidate.items()):
                trial = Trial(trial.number, self._outside(known))
                self.outer.restore(trial)
            rest = self.whole.fix(trial.candidate)
            try:
                rest.sample(self.generator(trial.number, "rest"))
            except Refused:
                self.outer.tell(trial, {}, "infeasible")
                continue
            seed = (self.seed * 1_000_003 + block) % 2**31
            self._inner[block] = self._make_inner(rest, self.objectives, seed=seed, **self.settings)
            self._trials[block], self._open[block] = trial, []
            return self._inner[block]
        raise Refused(f"none of {self.tries} outer candidates leaves one for the inner search")

    def _outside(self, candidate: Any) -> Any:
        return self.outer.space.walk(lambda address, domain: candidate[address])[1]

    def _close(self, block: int, results: Sequence[tuple[Told, Metrics]]) -> None:
        """Tell the outer strategy the best of a finished inner search, and forget that."""
        ranks = {"ok": 0, "pruned": 1, "infeasible": 1, "failed": 2}
        told, metrics = min(results, key=lambda result: (ranks[result[0].status], result[0].order()))
        self.outer.tell(self._trials.pop(block), metrics, told.status)
        del self._inner[block], self._open[block]
