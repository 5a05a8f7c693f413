"""The guard between processor and engine: nothing beyond fp16 passes unseen.

Orion (2026, section 9) clamps every surface to +-65504 and turns NaN into numbers, silently; the first fault is hidden
that way. Here each clamp is counted where it happens and reported with the step; what comes out is counted by the
kernel.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..weights import FP16_MAX


@dataclass
class Guard:
    """Counts of elements, since the start.

    Attributes:
        sent: beyond +-65504 on the way in, clamped.
        received: that came out beyond it, clamped.
        nan: on either way, made 0.
        weights: of weight files, clamped or NaN.
    """

    sent: int = 0
    received: int = 0
    nan: int = 0
    weights: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.sent + self.received + self.nan + self.weights

    def entering(self, array: np.ndarray) -> np.ndarray:
        """What may go to the engine: the array itself, or a clamped copy."""
        largest = float(np.abs(array).max(initial=0.0))
        if largest <= FP16_MAX:
            return array
        bad = np.isnan(array)
        nans = int(np.count_nonzero(bad))
        self.nan += nans
        self.sent += int(np.count_nonzero(np.abs(array) > FP16_MAX))
        return np.clip(np.where(bad, np.float32(0), array), -FP16_MAX, FP16_MAX)
