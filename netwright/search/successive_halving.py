"""Hyperband and successive halving over training length (Li et al. 2018, algorithm 1; Jamieson and Talwalkar 2016)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from netwright.search.base import Strategy, Told, Trial


class SuccessiveHalving(Strategy):
    """Many candidates at a low fidelity, the best of them at eta times it, and so on to 1.

    eta       what is kept of a rung is one in eta (3 in the paper)
    least     the lowest fidelity, a share of the full training
    brackets  how many of Hyperband's brackets follow one another, from the most aggressive on; 1 is successive halving
    A promoted candidate goes on from its own trial (`resume_from`). With several workers a promotion is made among the
    results told by then; where there are none to promote, a fresh candidate takes its place.
    """

    name = "successive-halving"

    def __init__(self, *arguments: Any, eta: int = 3, least: float = 1 / 27, brackets: int = 1,
                 **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        if eta < 2 or not 0 < least <= 1 or brackets < 1:
            raise ValueError("eta is at least 2, least a share, and brackets at least 1")
        self.eta, self.brackets = eta, brackets
        self.rungs = math.floor(math.log(1 / least, eta) + 1e-9)
        self._results: dict[int, Told] = {}
        self._asked: dict[int, Trial] = {}

    def plan(self, bracket: int) -> list[tuple[int, float]]:
        """(candidates, fidelity) of each rung of a bracket."""
        high = self.rungs - bracket % min(self.brackets, self.rungs + 1)
        count = math.ceil((self.rungs + 1) / (high + 1) * self.eta**high)
        return [(max(1, count // self.eta**rung), float(self.eta ** (rung - high))) for rung in range(high + 1)]

    def _next(self, number: int) -> Trial:
        if number < len(self.initial):
            return Trial(number, self.initial[number])
        start, bracket = 0, 0
        while True:
            before: list[int] = []
            for rung, (count, fidelity) in enumerate(self.plan(bracket)):
                if number < start + count:
                    full = fidelity if fidelity < 1 else None
                    if rung == 0:
                        return Trial(number, self._accepted(self.generator(number), number), full)
                    told = [self._results[place] for place in before if place in self._results]
                    taken = {self._asked[place].resume_from for place in range(start, number) if place in self._asked}
                    open_ = [result for result in sorted(told, key=Told.order) if result.trial.number not in taken]
                    if not open_:  # all that remain failed: a fresh candidate at this fidelity
                        return Trial(number, self._accepted(self.generator(number), number), full)
                    return Trial(number, open_[0].trial.candidate, full, open_[0].trial.number)
                before = list(range(start, start + count))
                start += count
            bracket += 1

    def propose(self, rng: np.random.Generator, number: int) -> Any:
        return self.space.sample(rng)

    def _register(self, trial: Trial) -> None:
        super()._register(trial)
        self._asked[trial.number] = trial

    def observe(self, told: Told) -> None:
        self._results[told.trial.number] = told


strategy = SuccessiveHalving
