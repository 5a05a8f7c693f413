"""A finite pool of candidates with cheap scores, for strategies that choose from it instead of proposing freely."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Pool:
    """Candidates and what is known of each before it is evaluated.

    candidates  n of them, different
    scores      name -> [n]: training-free scores and the like, higher thought better; NaN counts as the lowest
    features    [n, d] in [0, 1], usually the space's encoding; a kernel over structures reads it
    ValueError for lengths that differ.
    """

    candidates: Sequence[Any]
    scores: Mapping[str, np.ndarray] = field(default_factory=dict)
    features: np.ndarray | None = None

    def __post_init__(self) -> None:
        if not self.candidates:
            raise ValueError("a pool needs at least one candidate")
        for name, values in [*self.scores.items(), ("features", self.features)]:
            if values is not None and len(values) != len(self.candidates):
                raise ValueError(f'a pool of {len(self.candidates)} candidates has {len(values)} values of "{name}"')

    @cached_property
    def normal(self) -> np.ndarray:
        """[n, m]: every score as normal quantiles of its ranks in this pool, equal scores at their mean rank.

        Raw scores span many orders of magnitude (a gradient's square, a sum of logarithms), so ranks are what
        can be compared between them; the quantiles keep apart what lies at the top.
        """
        from scipy.stats import norm, rankdata

        columns = [np.nan_to_num(np.asarray(values, dtype=float), nan=-np.inf) for values in self.scores.values()]
        ranks = np.array([rankdata(column) for column in columns]).reshape(len(columns), len(self.candidates)).T
        found: np.ndarray = norm.ppf((ranks - 0.5) / len(self.candidates))
        return found

    def mean_rank(self, columns: Sequence[int] | None = None) -> np.ndarray:
        """[n]: the mean of these columns of `normal` (None: all), with mean 0 and deviation 1; zeros without scores."""
        if not self.scores:
            return np.zeros(len(self.candidates))
        mean = (self.normal if columns is None else self.normal[:, columns]).mean(axis=1)
        return (mean - mean.mean()) / (mean.std() or 1.0)

    @cached_property
    def place(self) -> dict[Any, int]:
        """Where each candidate stands."""
        return {candidate: number for number, candidate in enumerate(self.candidates)}

    def order(self, values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Places from the highest of `values` [n] to the lowest, ties in an order drawn from `rng`."""
        found: np.ndarray = np.lexsort((rng.random(len(values)), -np.asarray(values)))
        return found
