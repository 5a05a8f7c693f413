"""Gaussian process on encodings, its kernel chosen from a small grid by marginal likelihood.

A grid costs one eigenvalue decomposition of the covariance for each kernel and gives all noise levels at once, so that
a search can refit after every few measurements: 250 rows of 30 columns take about 30 ms.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

LENGTHS = (0.35, 0.7, 1.4)  # in mean distances between two rows
LINEAR = (0.0, 0.3)  # share of a linear function in the covariance
NOISES = (0.003, 0.01, 0.03, 0.1, 0.3)  # variance of a measurement, where values have variance 1
_TAIL = 3.0


@dataclass(frozen=True)
class _Fit:
    length: float
    linear: float
    vectors: np.ndarray
    values: np.ndarray
    solved: np.ndarray


class GaussianProcess:
    """Mean 0 after standardising; values further than three robust deviations below or above the median are drawn in,
    so that a few broken networks do not set the scale. Predictions are in the units of `y`."""

    def __init__(self, seed: int = 0) -> None:
        self._rows: np.ndarray | None = None
        self._fit: _Fit | None = None
        self._scale = (0.0, 1.0)
        self._unit = 1.0

    def fit(self, x: np.ndarray, y: np.ndarray) -> None:
        """Learn from n rows [n, d] with values [n]; ValueError for fewer than two."""
        if len(x) < 2:
            raise ValueError("a Gaussian process needs at least two rows")
        middle = float(np.median(y))
        spread = 1.4826 * float(np.median(np.abs(y - middle))) or float(y.std()) or 1.0
        drawn = np.clip(y, middle - _TAIL * spread, middle + _TAIL * spread)
        self._scale = float(drawn.mean()), float(drawn.std()) or 1.0
        wanted = (drawn - self._scale[0]) / self._scale[1]
        self._rows = x
        apart = _squares(x, x)
        self._unit = float(apart.sum() / max(len(x) * (len(x) - 1), 1)) or 1.0
        best: tuple[float, _Fit] | None = None
        for length in LENGTHS:
            for linear in LINEAR:
                values, vectors = np.linalg.eigh(self._covariance(apart, x @ x.T, length, linear))
                turned = vectors.T @ wanted
                for noise in NOISES:
                    levels = np.maximum(values, 0.0) + noise
                    evidence = -0.5 * float((turned**2 / levels).sum()) - 0.5 * float(np.log(levels).sum())
                    if best is None or evidence > best[0]:
                        solved = vectors @ (turned / levels)
                        best = evidence, _Fit(length, linear, vectors, levels, solved)
        assert best is not None
        self._fit = best[1]

    def predict(self, x: np.ndarray) -> np.ndarray:
        """[n] values for n rows; ValueError before `fit`."""
        fit, covariance = self._against(x)
        found: np.ndarray = self._scale[0] + self._scale[1] * (covariance @ fit.solved)
        return found

    def spread(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Means and deviations [n], the measurements' own noise left out; ValueError before `fit`."""
        fit, covariance = self._against(x)
        own = (1 - fit.linear) + fit.linear * (x**2).sum(axis=1) / self._unit
        left = own - ((covariance @ fit.vectors) ** 2 / fit.values).sum(axis=1)
        mean = self._scale[0] + self._scale[1] * (covariance @ fit.solved)
        return mean, self._scale[1] * np.sqrt(np.maximum(left, 1e-9))

    def _against(self, x: np.ndarray) -> tuple[_Fit, np.ndarray]:
        if self._fit is None or self._rows is None:
            raise ValueError("fit comes before predict")
        apart, product = _squares(x, self._rows), x @ self._rows.T
        return self._fit, self._covariance(apart, product, self._fit.length, self._fit.linear)

    def _covariance(self, apart: np.ndarray, product: np.ndarray, length: float, linear: float) -> np.ndarray:
        found: Any = (1 - linear) * np.exp(-apart / (2 * length**2 * self._unit)) + linear * product / self._unit
        return found


def _squares(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    found: np.ndarray = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1)[None] - 2 * a @ b.T
    return np.maximum(found, 0.0)


predictor = GaussianProcess
