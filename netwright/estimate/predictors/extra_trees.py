"""Extremely randomised trees (Geurts et al. 2006; scikit-learn)."""

from __future__ import annotations

import numpy as np


class ExtraTrees:
    """200 trees; good where encodings mix structure and scores."""

    def __init__(self, seed: int = 0) -> None:
        from sklearn.ensemble import ExtraTreesRegressor

        self._model = ExtraTreesRegressor(200, random_state=seed)

    def fit(self, x: np.ndarray, y: np.ndarray) -> None:
        """Learn from n rows."""
        self._model.fit(x, y)

    def predict(self, x: np.ndarray) -> np.ndarray:
        """[n] values for n rows."""
        found: np.ndarray = self._model.predict(x)
        return found


predictor = ExtraTrees
