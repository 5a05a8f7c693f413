"""Regularised (ageing) evolution: Real et al. 2019, "Regularized evolution for image classifier architecture search",
algorithm 1."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np

from netwright.search.base import Strategy, Told
from netwright.search.pareto import crowding, non_dominated_sort


class RegularisedEvolution(Strategy):
    """Tournament, mutate the winner, retire the oldest.

    population  P of the paper: random candidates first, then the number kept; the oldest told is retired
    sample      S: members of one tournament, drawn with replacement
    mutations   decisions redrawn in the winner's copy
    With one objective the winner has the least violation, then the least cost; with several, the best constrained
    rank in the population, then the least crowding. With several workers the population is whatever has been told.
    """

    name = "regularised-evolution"

    def __init__(self, *arguments: Any, population: int = 100, sample: int = 25, mutations: int = 1,
                 **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        if population < 1 or sample < 1 or mutations < 1:
            raise ValueError("population, sample and mutations are at least 1")
        self.size, self.sample, self.mutations = population, sample, mutations
        self.population: deque[Told] = deque(maxlen=population)
        self._orders: list[Any] | None = None

    def propose(self, rng: np.random.Generator, number: int) -> Any:
        if number < self.size or not self.population:
            return self.space.sample(rng)
        return self.space.mutate(self._winner(rng).trial.candidate, rng, number=self.mutations)

    def observe(self, told: Told) -> None:
        self.population.append(told)
        self._orders = None

    def _winner(self, rng: np.random.Generator) -> Told:
        drawn = rng.integers(len(self.population), size=self.sample).tolist()
        if len(self.goals) == 1:
            return min((self.population[place] for place in drawn), key=Told.order)
        orders = self._ranking()
        return self.population[min(drawn, key=lambda place: orders[place])]

    def _ranking(self) -> list[Any]:
        if self._orders is None:
            costs = np.array([told.costs for told in self.population])
            ranks = non_dominated_sort(costs, np.array([told.violation for told in self.population]))
            self._orders = list(zip(ranks.tolist(), (-crowding(costs, ranks)).tolist()))
        return self._orders


strategy = RegularisedEvolution
