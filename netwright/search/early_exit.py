"""EEEA-Net's search: NSGA-II whose first population is filtered before anything is trained (Termritthikun et al. 2021,
section 3.2, "early exit population initialisation")."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from netwright.errors import UserError
from netwright.search.nsga2 import NSGA2


class EarlyExit(NSGA2):
    """NSGA-II; first candidates above a static limit are drawn again, later ones are not (as published).

    size        size(candidate) -> parameters, bytes, multiply-adds: whatever is counted without training
    threshold   the most that a member of the first population may have; needed where `size` is given
    draws       first candidates drawn for each that is kept, at most; then UserError, naming the least that was drawn
    """

    name = "early-exit"

    def __init__(self, *arguments: Any, size: Callable[[Any], float] | None = None, threshold: float | None = None,
                 draws: int = 1_000, population: int = 40, **settings: Any) -> None:
        super().__init__(*arguments, population=population, **settings)
        if (size is None) != (threshold is None):
            raise ValueError("give size and threshold, or neither")
        self.measure, self.threshold, self.draws = size, threshold, draws

    def propose(self, rng: np.random.Generator, number: int) -> Any:
        if self.measure is None or self.threshold is None or (number >= self.size and self.survivors):
            return super().propose(rng, number)
        least = np.inf
        for _ in range(self.draws):
            candidate = self.space.sample(rng)
            size = self.measure(candidate)
            if size <= self.threshold:
                return candidate
            least = min(least, size)
        raise UserError(f"no first candidate is at most {self.threshold:g}: the least of {self.draws:,} draws is "
                        f"{least:g}")


strategy = EarlyExit
