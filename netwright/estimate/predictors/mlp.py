"""A small multilayer perceptron (scikit-learn), inputs and outputs standardised."""

from __future__ import annotations

import warnings

import numpy as np


class Perceptron:
    """Two hidden layers of 64, the mean of three starts."""

    def __init__(self, seed: int = 0) -> None:
        from sklearn.neural_network import MLPRegressor

        self._models = [
            MLPRegressor(hidden_layer_sizes=(64, 64), alpha=1e-2, max_iter=400, random_state=3 * seed + start)
            for start in range(3)
        ]
        self._scale = (0.0, 1.0)
        self._inputs: tuple[np.ndarray, np.ndarray] | None = None

    def fit(self, x: np.ndarray, y: np.ndarray) -> None:
        """Learn from n rows."""
        self._inputs = x.mean(axis=0), np.maximum(x.std(axis=0), 1e-9)
        self._scale = float(y.mean()), float(y.std()) or 1.0
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for model in self._models:
                model.fit((x - self._inputs[0]) / self._inputs[1], (y - self._scale[0]) / self._scale[1])

    def predict(self, x: np.ndarray) -> np.ndarray:
        """[n] values for n rows; ValueError before `fit`."""
        if self._inputs is None:
            raise ValueError("fit comes before predict")
        ready = (x - self._inputs[0]) / self._inputs[1]
        found: np.ndarray = np.mean([model.predict(ready) for model in self._models], axis=0)
        return found * self._scale[1] + self._scale[0]


predictor = Perceptron
