"""NSGA-II with constraints: Deb, Pratap, Agarwal and Meyarivan 2002."""

from __future__ import annotations

from typing import Any

import numpy as np

from netwright.search.base import Strategy, Told
from netwright.search.pareto import best_of, crowding, non_dominated_sort


class NSGA2(Strategy):
    """Binary tournaments by constrained rank and crowding, crossover, mutation, elitist survival.

    population  N of the paper; the first N trials are random
    crossover   probability that a child has two parents
    rate        probability that a decision of the child is redrawn; None: one decision on average
    A generation ends whenever `population` results have come in, in whatever order, so that no worker waits for
    another; with one worker this is the generation of the paper. Failed trials count for nothing.
    """

    name = "nsga2"

    def __init__(self, *arguments: Any, population: int = 50, crossover: float = 0.9, rate: float | None = None,
                 **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        if population < 2 or not 0 <= crossover <= 1:
            raise ValueError("population is at least 2, and crossover a probability")
        self.size, self.crossover, self.rate = population, crossover, rate
        self.survivors: list[Told] = []
        self._born: list[Told] = []
        self._orders: list[Any] = []

    def propose(self, rng: np.random.Generator, number: int) -> Any:
        if number < self.size or not self.survivors:
            return self.space.sample(rng)
        child = self._winner(rng)
        crossed = rng.random() < self.crossover
        if crossed:
            child = self.space.crossover(child, self._winner(rng), rng)
        rate = 1.0 / max(len(child), 1) if self.rate is None else self.rate
        # `mutate` always changes something; leaving a crossed child alone as often as independent redraws would
        # keeps the paper's operator.
        if crossed and rng.random() < (1.0 - rate) ** len(child):
            return child
        return self.space.mutate(child, rng, rate=rate)

    def observe(self, told: Told) -> None:
        self._born.append(told)
        if len(self._born) >= self.size:
            everyone = self.survivors + self._born
            costs, violations = _arrays(everyone)
            self.survivors = [everyone[place] for place in best_of(costs, violations, self.size)]
            costs, violations = _arrays(self.survivors)
            ranks = non_dominated_sort(costs, violations)
            self._orders = list(zip(ranks.tolist(), (-crowding(costs, ranks)).tolist()))
            self._born = []

    def _winner(self, rng: np.random.Generator) -> Any:
        one, two = rng.integers(len(self.survivors), size=2).tolist()
        return self.survivors[min(one, two, key=lambda place: self._orders[place])].trial.candidate


def _arrays(everyone: list[Told]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([told.costs for told in everyone]), np.array([told.violation for told in everyone])


strategy = NSGA2
