"""Saying honestly how good a search is (Yang, Esperanca and Carlucci 2020; Lindauer and Hutter 2020)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from netwright.errors import UserError


@dataclass(frozen=True)
class Interval:
    """A mean with its 95 % confidence interval, over so many runs."""

    mean: float
    low: float
    high: float
    runs: int


def interval(values: Sequence[float]) -> Interval:
    """Mean and Student's interval; the interval of one run is without bounds. UserError for none."""
    from scipy.stats import t

    found = np.asarray(values, dtype=float)
    if not len(found):
        raise UserError("no run, no mean")
    mean = float(found.mean())
    if len(found) == 1:
        return Interval(mean, -np.inf, np.inf, 1)
    half = float(t.ppf(0.975, len(found) - 1) * found.std(ddof=1) / np.sqrt(len(found)))
    return Interval(mean, mean - half, mean + half, len(found))


def relative_improvement(found: Sequence[float], random: Sequence[float]) -> Interval:
    """100 (mean found - mean random) / mean random, in percent, with an interval by the delta method (section 3.1).

    `random` are architectures drawn from the same space and judged alike, or the results of random search at the same
    budget: say which. UserError where the random mean is 0.
    """
    from scipy.stats import t

    one, two = np.asarray(found, dtype=float), np.asarray(random, dtype=float)
    if not len(one) or not len(two) or two.mean() == 0:
        raise UserError("a relative improvement needs runs of both, and a random mean that is not 0")
    ratio = one.mean() / two.mean()
    parts = [values.var(ddof=1) / len(values) if len(values) > 1 else np.inf for values in (one, two)]
    error = np.sqrt(parts[0] + ratio**2 * parts[1]) / abs(two.mean())
    free = max(min(len(one), len(two)) - 1, 1)
    half = float(t.ppf(0.975, free) * error)
    mean = float(ratio - 1)
    return Interval(100 * mean, 100 * (mean - half), 100 * (mean + half), len(one))


def better(found: Sequence[float], random: Sequence[float], direction: str = "max") -> float:
    """p of the one-sided Mann-Whitney test that `found` is better than `random`."""
    from scipy.stats import mannwhitneyu

    side = "greater" if direction == "max" else "less"
    return float(mannwhitneyu(found, random, alternative=side).pvalue)


def corrected(values: Sequence[float]) -> list[float]:
    """p values after Holm's correction for testing several at once."""
    order = np.argsort(values)
    found = np.empty(len(values))
    highest = 0.0
    for place, which in enumerate(order):
        highest = max(highest, min(1.0, (len(values) - place) * values[which]))
        found[which] = highest
    return found.tolist()


def rank_correlation(predicted: np.ndarray, truth: np.ndarray, top: float = 0.01) -> tuple[float, float]:
    """Spearman over everything, and within the truth's best `top` share, where searches end and correlations are
    lower. NaN rows of either are left out; NaN where the top has fewer than three."""
    from scipy.stats import spearmanr

    known = ~(np.isnan(predicted) | np.isnan(truth))
    predicted, truth = predicted[known], truth[known]
    best = np.argsort(-truth)[: max(1, round(top * len(truth)))]
    within = float(spearmanr(predicted[best], truth[best]).statistic) if len(best) >= 3 else float("nan")
    return float(spearmanr(predicted, truth).statistic), within
