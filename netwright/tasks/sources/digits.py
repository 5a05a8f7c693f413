"""`digits`: scikit-learn's 1,797 handwritten digits, 8x8 pixels of 0..16, which install with the package.

They are the test part of the UCI set "Optical Recognition of Handwritten Digits" (Alpaydin and Kaynak 1998), kept in
the order of their writers; so the first half trains and the second tests, on writers that training never saw.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from netwright.errors import MissingExtra
from netwright.tasks.sources import Options, Reading, Samples

_TRAIN = 898


class Digits:
    """Images uint8 [n, 1, 8, 8], classes 0 to 9: 898 to train on, 899 to test."""

    name = "digits"
    expects = "a built-in task"
    built_in = True
    options: frozenset[str] = frozenset()

    def takes(self, path: Path) -> bool:
        """Never: it is asked for by name."""
        return False

    def read(self, path: Path, test: Path | None, options: Options) -> Reading:
        """Raises MissingExtra without scikit-learn."""
        try:
            from sklearn.datasets import load_digits
        except ImportError:
            raise MissingExtra("scikit-learn", "search") from None
        images, labels = load_digits(return_X_y=True)
        x, y = images.astype(np.uint8).reshape(-1, 1, 8, 8), labels.astype(np.int64)
        return Reading(
            kind="image",
            train=Samples(x[:_TRAIN], y[:_TRAIN]),
            test=Samples(x[_TRAIN:], y[_TRAIN:]),
            held_out=f"the last {len(y) - _TRAIN} in file order: writers that training never saw",
            scale=1 / 16,
        )


source = Digits()
