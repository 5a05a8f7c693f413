"""What policies over decisions share: candidates are drawn from them, and rewards against a baseline teach them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from netwright.errors import Refused
from netwright.search.base import Strategy, Told

Draw = Callable[[str, list[Any], np.random.Generator], int]  # address, values offered -> the place of one


class Controller(Strategy):
    """A policy: `drawing` says how one candidate's decisions are drawn, `learn` what a reward does to it.

    Decisions that are numbers in a range are drawn uniformly and not learned. One objective; broken bounds are told as
    the worst reward.

    decay  of the exponential moving average of rewards that is the baseline
    """

    name = "controller"

    def __init__(self, *arguments: Any, decay: float = 0.9, **settings: Any) -> None:
        settings.setdefault("unique", False)
        super().__init__(*arguments, **settings)
        if len(self.goals) != 1:
            raise ValueError(f"{self.name} searches for one objective, not {len(self.goals)}")
        self.decay = decay
        self.baseline: float | None = None
        self._worst: float | None = None

    def drawing(self) -> Draw:
        """Draws one candidate's decisions, in the order in which they are made."""
        raise NotImplementedError

    def learn(self, candidate: Any, advantage: float) -> None:
        """Take one candidate, and how much better it was than expected."""
        raise NotImplementedError

    def propose(self, rng: np.random.Generator, number: int) -> Any:
        draw = self.drawing()

        def choose(address: str, domain: Any) -> Any:
            if domain.kind != "categorical":
                return domain.sample(rng)
            values = list(domain)
            return values[draw(address, values, rng)]

        structure, candidate = self.space.walk(choose)
        if self.space.violated(structure) is not None:
            raise Refused("a constraint of the space is broken")
        return candidate

    def observe(self, told: Told) -> None:
        reward = -told.costs[0]
        if not np.isfinite(reward):
            return
        self._worst = reward if self._worst is None else min(self._worst, reward)
        if told.violation > 0:
            reward = self._worst
        if self.baseline is None:
            self.baseline = reward
        self.learn(told.trial.candidate, reward - self.baseline)
        self.baseline = self.decay * self.baseline + (1 - self.decay) * reward

    def decided(self, candidate: Any) -> list[tuple[str, list[Any]]]:
        """A candidate's categorical decisions of more than one value, in order, with the values that were offered."""
        found: list[tuple[str, list[Any]]] = []

        def choose(address: str, domain: Any) -> Any:
            if domain.kind == "categorical" and domain.size > 1:
                found.append((address, list(domain)))
            return candidate[address]

        self.space.walk(choose, False)
        return found


def drawn(shares: np.ndarray, rng: np.random.Generator) -> int:
    """A place, by these probabilities."""
    return int(np.searchsorted(np.cumsum(shares), rng.random()).clip(0, len(shares) - 1))


class Logits(Controller):
    """A factorised policy: each address has logits of its own, found as candidates bring them up.

    That is what NAS-Bench-201's REINFORCE baseline has (Dong and Yang 2020, appendix), and what a space of independent
    decisions needs; `recurrent-ppo` draws later decisions by the earlier ones.

    learning_rate  of Adam
    entropy        weight of the policy's entropy in what is maximised
    """

    def __init__(self, *arguments: Any, learning_rate: float = 0.01, entropy: float = 1e-4, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.learning_rate, self.entropy = learning_rate, entropy
        self.logits: dict[str, np.ndarray] = {}
        self.values: dict[str, list[Any]] = {}  # of each address, in the order of its logits
        self._moments: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        self._steps = 0

    def drawing(self) -> Draw:
        return lambda address, values, rng: drawn(self.shares(address, values), rng)

    def shares(self, address: str, values: list[Any]) -> np.ndarray:
        """Probabilities [k] of these values of a decision."""
        known = self.values.get(address, [])
        logits = np.array([self.logits[address][known.index(v)] if v in known else 0.0 for v in values])
        weights = np.exp(logits - logits.max())
        found: np.ndarray = weights / weights.sum()
        return found

    def places(self, candidate: Any) -> dict[str, int]:
        """A candidate's decisions: address -> place of its value among those known."""
        found: dict[str, int] = {}
        for address, offered in self.decided(candidate):
            known = self.values.setdefault(address, [])
            known.extend(value for value in offered if value not in known)
            logits = self.logits.get(address, np.zeros(0))
            self.logits[address] = np.concatenate([logits, np.zeros(len(known) - len(logits))])
            found[address] = known.index(candidate[address])
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
