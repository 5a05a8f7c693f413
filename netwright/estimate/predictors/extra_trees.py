"""Extremely randomised trees (Geurts et al. 2006; scikit-learn)."""

from __future__ import annotations

from netwright.estimate.predictors import Predictor


def predictor(seed: int = 0) -> Predictor:
    """200 trees; good where encodings mix structure and scores."""
    from sklearn.ensemble import ExtraTreesRegressor

    model: Predictor = ExtraTreesRegressor(200, random_state=seed)
    return model
