"""What policies over decisions share: logits for every decision's values, drawn from and learned by their rewards."""

from __future__ import annotations

from typing import Any

import numpy as np

from netwright.errors import Refused
from netwright.search.base import Strategy, Told


class Controller(Strategy):
    """A factorised policy: each address has logits of its own, found as candidates bring them up.

    Zoph et al. draw the decisions from a recurrent network; a table of logits is what NAS-Bench-201's REINFORCE
    baseline has (Dong and Yang 2020, appendix), and what a space of independent decisions needs. Decisions that are
    numbers in a range are drawn uniformly and not learned. One objective; broken bounds are told as the worst reward.

    learning_rate  of Adam
    decay          of the exponential moving average of rewards that is the baseline
    entropy        weight of the policy's entropy in what is maximised
    """

    name = "controller"

    def __init__(self, *arguments: Any, learning_rate: float = 0.01, decay: float = 0.9, entropy: float = 1e-4,
                 **settings: Any) -> None:
        settings.setdefault("unique", False)
        super().__init__(*arguments, **settings)
        if len(self.goals) != 1:
            raise ValueError(f"{self.name} searches for one objective, not {len(self.goals)}")
        self.learning_rate, self.decay, self.entropy = learning_rate, decay, entropy
        self.logits: dict[str, np.ndarray] = {}
        self.values: dict[str, list[Any]] = {}
        self.baseline: float | None = None
        self._worst: float | None = None
        self._moments: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        self._steps = 0

    def propose(self, rng: np.random.Generator, number: int) -> Any:
        def choose(address: str, domain: Any) -> Any:
            if domain.kind != "categorical":
                return domain.sample(rng)
            values = list(domain)
            shares = self.shares(address, values)
            return values[int(np.searchsorted(np.cumsum(shares), rng.random()).clip(0, len(values) - 1))]

        structure, candidate = self.space.walk(choose)
        if self.space.violated(structure) is not None:
            raise Refused("a constraint of the space is broken")
        return candidate

    def shares(self, address: str, values: list[Any]) -> np.ndarray:
        """Probabilities [k] of these values of a decision."""
        known = self.values.get(address, [])
        logits = np.array([self.logits[address][known.index(v)] if v in known else 0.0 for v in values])
        weights = np.exp(logits - logits.max())
        found: np.ndarray = weights / weights.sum()
        return found

    def observe(self, told: Told) -> None:
        reward = -told.costs[0]
        if not np.isfinite(reward):
            return
        self._worst = reward if self._worst is None else min(self._worst, reward)
        if told.violation > 0:
            reward = self._worst
        if self.baseline is None:
            self.baseline = reward
        self.learn(self._decisions(told.trial.candidate), reward - self.baseline)
        self.baseline = self.decay * self.baseline + (1 - self.decay) * reward

    def learn(self, decisions: dict[str, int], advantage: float) -> None:
        """Take one candidate's decisions (address -> place of its value) and how much better it was than expected."""
        raise NotImplementedError

    def _decisions(self, candidate: Any) -> dict[str, int]:
        found: dict[str, int] = {}

        def choose(address: str, domain: Any) -> Any:
            if domain.kind == "categorical" and domain.size > 1:
                known = self.values.setdefault(address, [])
                known.extend(value for value in domain if value not in known)
                logits = self.logits.get(address, np.zeros(0))
                self.logits[address] = np.concatenate([logits, np.zeros(len(known) - len(logits))])
                found[address] = known.index(candidate[address])
            return candidate[address]

        self.space.walk(choose, False)
        return found

    def gradient(self, address: str, place: int, weight: float) -> np.ndarray:
        """Of weight * log p(place) + entropy * H at one decision's logits."""
        shares = self.shares(address, self.values[address])
        logs = np.log(np.maximum(shares, 1e-12))
        found = -weight * shares
        found[place] += weight
        return found - self.entropy * shares * (logs - float(shares @ logs))

    def ascend(self, gradients: dict[str, np.ndarray]) -> None:
        """One step of Adam."""
        self._steps += 1
        for address, gradient in gradients.items():
            first, second = self._moments.get(address, (np.zeros(0), np.zeros(0)))
            room = len(gradient) - len(first)
            first = 0.9 * np.concatenate([first, np.zeros(room)]) + 0.1 * gradient
            second = 0.999 * np.concatenate([second, np.zeros(room)]) + 0.001 * gradient**2
            self._moments[address] = first, second
            corrected = first / (1 - 0.9**self._steps), second / (1 - 0.999**self._steps)
            self.logits[address] = self.logits[address] + self.learning_rate * corrected[0] / (
                np.sqrt(corrected[1]) + 1e-8)
