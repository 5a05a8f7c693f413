"""Local search: White, Nolen and Savani 2021, "Local search is state of the art for neural architecture search
benchmarks" (algorithm 1; `first` is its query-until-lower)."""

from __future__ import annotations

from typing import Any

import numpy as np

from netwright.search.base import Strategy, Told, Trial


class LocalSearch(Strategy):
    """Evaluate the neighbours of the best of a climb; from a local optimum begin anew at a random candidate.

    first    go to a better neighbour as soon as one is found (True), or when all of them are known
    starts   random candidates whose best a climb begins at
    """

    name = "local-search"

    def __init__(self, *arguments: Any, first: bool = True, starts: int = 1, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        if starts < 1:
            raise ValueError("starts is at least 1")
        self.first, self.starts = first, starts
        self.current: Told | None = None
        self._better: Told | None = None
        self._near: list[Any] = []
        self._begun = 0
        self._asked: set[Any] = set()
        self._refused: set[Any] = set()

    def propose(self, rng: np.random.Generator, number: int) -> Any:
        if self.current is not None and self._begun >= self.starts:
            for candidate in self._near:
                if candidate in self._asked or candidate in self._refused:
                    continue
                if self.accept is None or self.accept(candidate):
                    return candidate
                self._refused.add(candidate)
            if self._better is not None:
                self._move(self._better)
                return self.propose(rng, number)
            self.current, self._begun = None, 0
        return self.space.sample(rng)

    def observe(self, told: Told) -> None:
        if self._begun < self.starts:
            self._begun += 1
            if self.current is None or told.order() < self.current.order():
                self.current = told
            if self._begun == self.starts:
                self._move(self.current)
        elif self.current is not None and told.order() < (self._better or self.current).order():
            self._better = told
            if self.first:
                self._move(told)

    def _move(self, to: Told) -> None:
        """Go on from `to`: its neighbours, in an order of its trial's own."""
        rng = self.generator(to.trial.number, "neighbours")
        near = self.space.neighbours(to.trial.candidate, rng)
        self.current, self._better = to, None
        self._near = [near[place] for place in rng.permutation(len(near)).tolist()]

    def _register(self, trial: Trial) -> None:
        super()._register(trial)
        self._asked.add(trial.candidate)


strategy = LocalSearch
