"""RoBoT: a weighted sum of training-free scores, its weights found by Bayesian optimisation, then walked down greedily
(He, Shu, Dai and Low 2024, "Robustifying and boosting training-free NAS", algorithms 1 and 2)."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from netwright.errors import UserError
from netwright.search.base import Trial
from netwright.search.pooled import Pooled


class RoBoT(Pooled):
    """Bayesian optimisation over weights of scores, then greedy.

    budget     T of the paper: T - 1 steps of optimisation after one random weight; weights whose best candidate was
               evaluated before cost no evaluation, and what is left of the T goes down the ranking of the best weights
    normalise  "rank" (normal quantiles of ranks) or "minmax" (the published code's, to [0, 1] over the pool)
    kappa      of the upper confidence bound; 2.576 is the published code's
    draws      random weights among which the bound is maximised in each step
    `weights` are the best so far. The Gaussian process has a Matern 5/2 kernel, as in the package that the paper used.
    """

    name = "robot"

    def __init__(self, *arguments: Any, budget: int = 20, normalise: str = "rank", kappa: float = 2.576,
                 draws: int = 2_000, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        if not self.candidates.scores:
            raise UserError("robot weighs scores: give it a pool that has some (candidates=Pool(...))")
        if normalise not in ("rank", "minmax"):
            raise ValueError(f'normalise is "rank" or "minmax", not {normalise!r}')
        self.budget, self.kappa, self.draws = budget, kappa, draws
        self.table = self.candidates.normal if normalise == "rank" else _minmax(self.candidates.scores)
        self.tried: list[np.ndarray] = []
        self.gained: list[float] = []
        self._pending: list[tuple[np.ndarray, int]] = []

    @property
    def weights(self) -> np.ndarray:
        """The weights [m] whose candidate had the highest reward, the later of equals; zeros before any."""
        if not self.gained:
            return np.zeros(self.table.shape[1])
        return self.tried[int(np.flatnonzero(np.array(self.gained) == max(self.gained))[-1])]

    def shares(self) -> dict[str, float]:
        """How much each score has in `weights`, signed; absolute values sum to 1."""
        total = float(np.abs(self.weights).sum()) or 1.0
        return {name: float(weight) / total for name, weight in zip(self.candidates.scores, self.weights)}

    def rank(self, rng: np.random.Generator, number: int) -> np.ndarray:
        self._settle()
        while len(self.tried) + len(self._pending) < self.budget:
            weights = self._step(rng)
            values = self.table @ weights
            best = int(self.candidates.order(values, rng)[0])
            known = dict(zip(self.queried, self.rewards))
            if best in known:
                self.tried.append(weights)
                self.gained.append(known[best])
                continue
            if self.candidates.candidates[best] in self._seen:  # with several workers: asked, not yet told
                break
            self._pending.append((weights, best))
            return values
        return self.table @ self.weights

    def restore(self, trial: Trial) -> None:
        if trial.number >= len(self.initial):
            self.rank(self.generator(trial.number), trial.number)  # takes note of the weights that chose it
        super().restore(trial)

    def _settle(self) -> None:
        known = dict(zip(self.queried, self.rewards))
        for weights, place in [entry for entry in self._pending if entry[1] in known]:
            self.tried.append(weights)
            self.gained.append(known[place])
        self._pending = [entry for entry in self._pending if entry[1] not in known]

    def _step(self, rng: np.random.Generator) -> np.ndarray:
        drawn = rng.uniform(-1.0, 1.0, (self.draws, self.table.shape[1]))
        if not self.tried:
            return drawn[0]
        from sklearn.gaussian_process import GaussianProcessRegressor
        from sklearn.gaussian_process.kernels import Matern

        model = GaussianProcessRegressor(Matern(nu=2.5), alpha=1e-6, normalize_y=True, n_restarts_optimizer=1,
                                         random_state=int(rng.integers(2**31)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(np.array(self.tried), np.array(self.gained))
            mean, deviation = model.predict(drawn, return_std=True)
        return drawn[int(np.argmax(mean + self.kappa * deviation))]


def _minmax(scores: Any) -> np.ndarray:
    columns = []
    for values in scores.values():
        column = np.asarray(values, dtype=float)
        low, high = np.nanmin(column), np.nanmax(column)
        columns.append(np.nan_to_num((column - low) / ((high - low) or 1.0), nan=0.0))
    return np.array(columns).T


strategy = RoBoT
