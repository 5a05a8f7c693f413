"""Bayesian optimisation over a pool whose prior is what training-free scores say.

A few trusted scores are experts: their mean rank and then each of them first name their own best candidate, and a
Gaussian process over scores and structures, whose prior mean is that mean rank, takes it from there. Proxies in the
prior are Shen et al. 2023 (ProxyBO); the kernel and the first candidates are ours, and so are the settings, which were
chosen on other tables than NAS-Bench-201 (benchmarks/pool_settings.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from netwright.search.pooled import Pooled


class Scored(Pooled):
    """Gaussian process over a pool, with training-free scores as its prior mean and features.

    trusted    scores whose mean rank is the prior mean, and whose best candidates are asked first (names the pool lacks
               are passed over; where it has none of them, all of its scores)
    noise      variance of a result, where results have variance 1
    prior      slope of the prior mean: deviations of the results for one deviation of the mean rank
    kernel     variances of its four parts: the prior's slope, a linear function of the scores, a smooth one (length
               `length`, in deviations of a score) and one of the structures (by the share of features that differ,
               length `reach`)
    Results count by their rank among those told, as normal quantiles, so that one broken network does not flatten the
    rest. The next candidate has the highest expected improvement over the best mean among those evaluated.
    """

    name = "scored"

    def __init__(self, *arguments: Any, trusted: Sequence[str] = ("synflow", "nwot", "jacov"),
                 noise: float = 0.5, prior: float = 1.0,
                 kernel: tuple[float, float, float, float] = (0.1, 0.1, 0.2, 1.0), length: float = 1.0,
                 reach: float = 0.5, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        names = list(self.candidates.scores)
        self.trusted = [names.index(name) for name in trusted if name in names] or list(range(len(names)))
        self.noise, self.prior, self.kernel, self.length, self.reach = noise, prior, kernel, length, reach
        self._columns: dict[int, np.ndarray] = {}

    @cached_property
    def mean(self) -> np.ndarray:
        """[n]: the trusted scores' mean rank."""
        return self.candidates.mean_rank(self.trusted)

    def rank(self, rng: np.random.Generator, number: int) -> np.ndarray:
        pool = self.candidates
        if 0 < number <= len(self.trusted):
            ranked: np.ndarray = pool.normal[:, self.trusted[number - 1]]
            return ranked
        if not self.queried:
            return self.mean if pool.scores else rng.random(len(pool.candidates))
        return self._improvement(*self.posterior())

    def posterior(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and deviation [n] of every candidate of the pool, in deviations of the results told so far."""
        from scipy.linalg import cho_factor, cho_solve
        from scipy.stats import norm, rankdata

        told = self.queried
        results = norm.ppf((rankdata(self.rewards) - 0.5) / len(told))
        columns = np.array([self._column(place) for place in told]).T
        factor = cho_factor(columns[told] + self.noise * np.eye(len(told)))
        mean = self.prior * self.mean
        mean = mean + columns @ cho_solve(factor, results - mean[told])
        explained = (columns * cho_solve(factor, columns.T).T).sum(axis=1)
        return mean, np.sqrt(np.maximum(self._variance() - explained, 1e-9))

    def _column(self, place: int) -> np.ndarray:
        """Covariance [n] of every candidate with one; the constant lets the results' level be free."""
        if place not in self._columns:
            pool, (slope, linear, smooth, structure) = self.candidates, self.kernel
            column = _LEVEL + slope * self.mean * self.mean[place]
            if pool.scores:
                table = pool.normal
                apart = ((table - table[place]) ** 2).mean(axis=1)
                column = column + linear * (table @ table[place]) / table.shape[1]
                column = column + smooth * np.exp(-apart / (2 * self.length**2))
            if pool.features is not None:
                apart = ((pool.features - pool.features[place]) ** 2).sum(axis=1) / self._spread()
                column = column + structure * np.exp(-apart / self.reach)
            self._columns[place] = column
        return self._columns[place]

    def _spread(self) -> float:
        """What the squared distance of two structures is when every decision differs."""
        features = self.candidates.features
        assert features is not None
        return float(2 * (features**2).sum(axis=1).mean()) or 1.0

    def _variance(self) -> np.ndarray:
        pool, (slope, linear, smooth, structure) = self.candidates, self.kernel
        variance = _LEVEL + slope * self.mean**2 + (structure if pool.features is not None else 0.0)
        if pool.scores:
            variance = variance + linear * (pool.normal**2).mean(axis=1) + smooth
        return variance

    def _improvement(self, mean: np.ndarray, deviation: np.ndarray) -> np.ndarray:
        from scipy.stats import norm

        step = (mean - mean[self.queried].max()) / deviation
        found: np.ndarray = deviation * (step * norm.cdf(step) + norm.pdf(step))
        return found


_LEVEL = 4.0

strategy = Scored
