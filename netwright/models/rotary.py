"""Two conventions of rotary embedding, and the way from one to the other."""

from __future__ import annotations

import numpy as np


def halves(weight: np.ndarray, heads: int) -> np.ndarray:
    """Rows of a query or key matrix [heads D, d] that rotates channels (2i, 2i + 1), for the pairs (i, i + D/2).

    Scores are products over all channels of a head, so the same order in queries and keys changes nothing.
    """
    rows, width = weight.shape
    return weight.reshape(heads, rows // heads // 2, 2, width).swapaxes(1, 2).reshape(rows, width)
