"""Gaussian process with a radial and a linear part, lengths by maximum likelihood: what an RBF support vector
regression is used for by Sarah et al. 2022 (section 3), with a deviation beside the mean."""

from __future__ import annotations

import warnings

import numpy as np


class GaussianProcess:
    """Mean 0 after standardising; kernel: variance * RBF + linear + noise, refitted at every `fit`."""

    def __init__(self, seed: int = 0) -> None:
        from sklearn.gaussian_process import GaussianProcessRegressor
        from sklearn.gaussian_process.kernels import RBF, ConstantKernel, DotProduct, WhiteKernel

        kernel = (ConstantKernel(1.0, (1e-2, 1e2)) * RBF(3.0, (0.3, 30.0))
                  + ConstantKernel(0.1, (1e-4, 1e1)) * DotProduct(1.0) + WhiteKernel(1e-2, (1e-5, 1.0)))
        self._model = GaussianProcessRegressor(kernel, normalize_y=True, random_state=seed)

    def fit(self, x: np.ndarray, y: np.ndarray) -> None:
        """Learn from n rows."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._model.fit(x, y)

    def predict(self, x: np.ndarray) -> np.ndarray:
        """[n] values for n rows."""
        found: np.ndarray = self._model.predict(x)
        return found

    def spread(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Means and deviations [n]."""
        mean, deviation = self._model.predict(x, return_std=True)
        return mean, deviation


predictor = GaussianProcess
