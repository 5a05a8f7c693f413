"""The base of strategies over a `Pool`."""

from __future__ import annotations

from typing import Any

import numpy as np

from netwright.errors import Refused
from netwright.search.base import Strategy, Told
from netwright.search.pool import Pool

_DRAWN = 1_000


class Pooled(Strategy):
    """Proposes the first candidate of an order over the pool that was not asked before and that `accept` accepts.

    candidates   the pool; None: 1,000 plain samples of the space, without scores
    Subclasses write `rank(rng, number) -> [n]`, higher first. One objective only. `reward` is its value with the sign
    turned so that more is better; what breaks a bound is told as the worst reward seen.
    """

    name = "pooled"
    pooled = True  # studies hand such a strategy a pool

    def __init__(self, *arguments: Any, candidates: Pool | None = None, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        if len(self.goals) != 1:
            raise ValueError(f"{self.name} searches for one objective, not {len(self.goals)}")
        self.candidates = self._drawn() if candidates is None else candidates
        self.queried: list[int] = []
        self.rewards: list[float] = []
        self._refused: set[int] = set()

    def _drawn(self) -> Pool:
        """A pool of the space's plain samples, without scores."""
        rng = self.generator(0, "pool")
        drawn = list(dict.fromkeys(self.space.sample(rng) for _ in range(_DRAWN)))
        return Pool(drawn, features=np.array([self.space.encode(candidate) for candidate in drawn]))

    def rank(self, rng: np.random.Generator, number: int) -> np.ndarray:
        """What to ask next: a value [n] for every candidate of the pool."""
        raise NotImplementedError

    def propose(self, rng: np.random.Generator, number: int) -> Any:
        return self.first(self.candidates.order(self.rank(rng, number), rng))

    def _accepted(self, rng: np.random.Generator, number: int) -> Any:
        return self.propose(rng, number)  # nothing outside the pool is asked

    def first(self, order: np.ndarray) -> Any:
        """The first candidate of an order that may be asked; Refused when none is left."""
        for place in order.tolist():
            candidate = self.candidates.candidates[place]
            if place in self._refused or candidate in self._seen:
                continue
            if self.accept is None or self.accept(candidate):
                return candidate
            self._refused.add(place)
        raise Refused("every candidate of the pool was asked or does not fit")

    def observe(self, told: Told) -> None:
        place = self.candidates.place.get(told.trial.candidate)
        if place is None or not np.isfinite(told.costs[0]):
            return
        worst = min(self.rewards, default=-told.costs[0])
        self.queried.append(place)
        self.rewards.append(-told.costs[0] if told.violation == 0 else min(worst, -told.costs[0]))
