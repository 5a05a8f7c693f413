"""WeakNAS: many weak predictors, each from what the one before made worth measuring (Wu et al. 2021)."""

from __future__ import annotations

from typing import Any

import numpy as np

from netwright.errors import MissingExtra, Refused
from netwright.search.base import Strategy, Told


class WeakNAS(Strategy):
    """Rounds of `batch` measurements, drawn at random from the `top` candidates of a pool by the last predictor.

    first, batch, top, pool_size   of the paper's settings for NAS-Bench-201, where it draws from the whole space
    One objective. It is LINAS's baseline: no evolution on the predictor, no front.
    """

    name = "weak-nas"

    def __init__(self, *arguments: Any, first: int = 50, batch: int = 10, top: int = 100, pool_size: int = 2_000,
                 **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        if len(self.goals) != 1:
            raise ValueError(f"weak-nas searches for one objective, not {len(self.goals)}")
        self.first, self.batch, self.top, self.pool_size = first, batch, top, pool_size
        self._codes: list[np.ndarray] = []
        self._costs: list[float] = []
        self._best: list[Any] = []
        self._fitted = -1

    def propose(self, rng: np.random.Generator, number: int) -> Any:
        rounds = (len(self._costs) - self.first) // self.batch
        if rounds < 0:
            return self.space.sample(rng)
        if rounds != self._fitted:
            self._round(self.first + rounds * self.batch, self.generator(rounds, "round"))
            self._fitted, rng = rounds, self.generator(number, "drawn")
        left = [candidate for candidate in self._best if candidate not in self._seen]
        if not left:
            raise Refused("the predictor's best are all measured")
        return left[int(rng.integers(len(left)))]

    def observe(self, told: Told) -> None:
        if np.isfinite(told.costs[0]) and told.violation == 0:
            self._codes.append(self.space.encode(told.trial.candidate))
            self._costs.append(told.costs[0])

    def _round(self, count: int, rng: np.random.Generator) -> None:
        try:
            from sklearn.ensemble import ExtraTreesRegressor
        except ImportError:
            raise MissingExtra("the predictor of weak-nas (scikit-learn)", "search") from None
        model = ExtraTreesRegressor(100, random_state=int(rng.integers(2**31)), n_jobs=1)
        model.fit(np.array(self._codes[:count]), np.array(self._costs[:count]))
        drawn = list(dict.fromkeys(self.space.sample(rng) for _ in range(self.pool_size)))
        predicted = model.predict(np.array([self.space.encode(candidate) for candidate in drawn]))
        self._best = [drawn[place] for place in np.argsort(predicted, kind="stable")[: self.top]]


strategy = WeakNAS
