"""Choosing the next token from logits: greedy, temperature, top-k, top-p, repetition penalty."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from netwright.errors import UserError


@dataclass
class Sampler:
    """Draws tokens; the same seed draws the same. Raises UserError for a setting out of its range.

    In this order: logits of tokens seen are divided by `repetition_penalty` where positive and multiplied by it where
    negative (Keskar et al. 2019, section 4.1); divided by `temperature` (0: the largest is taken); all but the `top_k`
    largest dropped (0: none; Fan et al. 2018); all but the fewest that hold `top_p` of the probability dropped
    (Holtzman et al. 2020, section 3.1).
    """

    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    repetition_penalty: float = 1.0
    seed: int = 0
    _random: np.random.Generator = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < float("inf"):
            raise UserError(f"a temperature of {self.temperature:g}: give 0 (the likeliest token) or a positive number")
        if self.top_k < 0:
            raise UserError(f"top-k of {self.top_k}: give 0 (all) or a count of tokens")
        if not 0 < self.top_p <= 1:
            raise UserError(f"top-p of {self.top_p:g}: give a share above 0 and up to 1")
        if not 0 < self.repetition_penalty < float("inf"):
            raise UserError(f"a repetition penalty of {self.repetition_penalty:g}: give a positive number (1: none)")
        if self.seed < 0:
            raise UserError(f"a seed of {self.seed}: give 0 or more")
        self._random = np.random.default_rng(self.seed)

    def choose(self, logits: np.ndarray, seen: Iterable[int] = ()) -> int:
        """A token for logits [V] after the tokens `seen`. Raises ValueError where no logit is a number."""
        scores = np.asarray(logits, np.float64).copy()
        scores[np.isnan(scores)] = -np.inf
        if not np.isfinite(scores.max()):
            raise ValueError("the network gave no finite logit")
        if self.repetition_penalty != 1:
            past = np.unique(np.fromiter(seen, np.int64))
            scores[past] *= np.where(scores[past] > 0, 1 / self.repetition_penalty, self.repetition_penalty)
        if self.temperature == 0:
            return int(scores.argmax())
        with np.errstate(over="ignore"):  # of a temperature next to none
            chances = self._chances((scores - scores.max()) / self.temperature)
        return int(np.searchsorted(np.cumsum(chances), self._random.random() * chances.sum(), side="right"))

    def _chances(self, scores: np.ndarray) -> np.ndarray:
        """Probabilities, not normalised, of what top-k and top-p leave."""
        if 0 < self.top_k < len(scores):
            kept = np.argpartition(-scores, self.top_k - 1)[: self.top_k]
            left = np.full_like(scores, -np.inf)
            left[kept] = scores[kept]
            scores = left
        chances: np.ndarray = np.exp(scores - scores.max())
        if self.top_p < 1:
            order = np.argsort(-chances, kind="stable")
            before = np.cumsum(chances[order]) - chances[order]
            chances[order[before >= self.top_p * chances.sum()]] = 0
        return chances
