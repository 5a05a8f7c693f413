"""Ridge regression, its penalty chosen by leave-one-out (scikit-learn)."""

from __future__ import annotations

from netwright.estimate.predictors import Predictor


def predictor(seed: int = 0) -> Predictor:
    """Linear in the encoding; nothing in it is drawn."""
    from sklearn.linear_model import RidgeCV

    model: Predictor = RidgeCV([10 ** (power / 2) for power in range(-6, 7)])
    return model
