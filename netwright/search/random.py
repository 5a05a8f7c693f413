"""Random search: the baseline that every comparison draws (Bergstra and Bengio 2012)."""

from __future__ import annotations

from typing import Any

import numpy as np

from netwright.search.base import Strategy


class Random(Strategy):
    """Independent samples. `by` says which random it is: "decision", "candidate" or "prior" (see `Space.sample`)."""

    name = "random"

    def __init__(self, *arguments: Any, by: str = "decision", **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.by = by

    def propose(self, rng: np.random.Generator, number: int) -> Any:
        return self.space.sample(rng, by=self.by)


strategy = Random
