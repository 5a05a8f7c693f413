"""Proximal policy optimisation (Schulman et al. 2017), as NASNet's search updates its controller (Zoph et al. 2018,
appendix A.1: a batch of 20 children, entropy weight 1e-5, baseline decay 0.95)."""

from __future__ import annotations

from typing import Any

import numpy as np

from netwright.search.controller import Logits


class PPO(Logits):
    """Batches of results, several clipped passes over each.

    batch    results a batch (20 in the paper)
    passes   gradient steps over a batch
    clip     how far a candidate's probability may move from what it was when the batch ended
    """

    name = "ppo"

    def __init__(self, *arguments: Any, batch: int = 20, passes: int = 10, clip: float = 0.2,
                 learning_rate: float = 0.05, decay: float = 0.95, entropy: float = 1e-5, **settings: Any) -> None:
        super().__init__(*arguments, learning_rate=learning_rate, decay=decay, entropy=entropy, **settings)
        if batch < 1 or passes < 1 or clip <= 0:
            raise ValueError("batch and passes are at least 1, and clip above 0")
        self.batch, self.passes, self.clip = batch, passes, clip
        self._held: list[tuple[dict[str, int], float]] = []

    def learn(self, candidate: Any, advantage: float) -> None:
        """Hold the result until a batch is together."""
        self._held.append((self.places(candidate), advantage))
        if len(self._held) < self.batch:
            return
        scale = float(np.std([advantage for _, advantage in self._held])) or 1.0
        before = [self._log(decisions) for decisions, _ in self._held]
        for _ in range(self.passes):
            gradients: dict[str, np.ndarray] = {}
            for (made, gain), old in zip(self._held, before):
                ratio = float(np.exp(np.clip(self._log(made) - old, -20, 20)))
                if (gain > 0 and ratio > 1 + self.clip) or (gain < 0 and ratio < 1 - self.clip):
                    continue
                for address, place in made.items():
                    part = self.gradient(address, place, ratio * gain / scale) / len(self._held)
                    gradients[address] = gradients.get(address, np.zeros(len(part))) + part
            self.ascend(gradients)
        self._held = []

    def _log(self, decisions: dict[str, int]) -> float:
        return float(sum(np.log(max(self.shares(address, self.values[address])[place], 1e-12))
                         for address, place in decisions.items()))


strategy = PPO
