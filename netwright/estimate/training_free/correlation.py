"""How uncorrelated rows are, as one number (Mellor et al. 2020, first version, section 3)."""

from __future__ import annotations

import numpy as np

STEADY = 1e-5


def spread(rows: np.ndarray) -> float:
    """-sum(log(v + k) + 1 / (v + k)) over the eigenvalues v of the correlations of rows [N, D], k = 1e-5.

    Near -N where no two rows are alike; minus infinity where a row is constant, which has no correlation.
    """
    centred = rows - rows.mean(1, keepdims=True, dtype=np.float64)
    length = np.sqrt((centred * centred).sum(1, keepdims=True))
    if not (length > 0).all() or not np.isfinite(length).all():
        return -float("inf")
    centred /= length
    values = np.linalg.eigvalsh(centred @ centred.T).clip(min=0) + STEADY
    return -float((np.log(values) + 1 / values).sum())
