"""Mutation rates learned by Q-learning, one for every decision (HHNAS-AM, 2025; its section on adaptive mutation).

No code was published. The form of the reward and of the rates is ours: a Q table factorised by decision, the reward of
a trial relative to the incumbent it was made from, and the rate by a clipped logistic function.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from netwright.search.base import Strategy, Told, Trial


class AdaptiveMutation(Strategy):
    """Redraw each decision of the best so far with its own probability; raise it where redrawing has helped.

    first        random candidates before the first mutation
    alpha, gamma learning rate and discount of Q(decision, mutate or keep)
    tau          temperature of the logistic function that turns Q into a rate, in deviations of the rewards
    floor, ceil  bounds of the rates; `rate` is where they begin
    fixed        never learn: every decision keeps `rate` (the ablation)
    slow         share of mutations in which decisions that others depend on may change as well (macro choices: a part
                 that is off counts as one as soon as it was seen on)
    """

    name = "adaptive-mutation"

    def __init__(self, *arguments: Any, first: int = 10, alpha: float = 0.2, gamma: float = 0.5, tau: float = 0.5,
                 floor: float = 0.05, ceil: float = 0.95, rate: float = 0.2, fixed: bool = False, slow: float = 0.25,
                 **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        if not 0 < floor <= rate <= ceil < 1 or first < 1 or tau <= 0:
            raise ValueError("0 < floor <= rate <= ceil < 1, first is at least 1, and tau above 0")
        self.first, self.alpha, self.gamma, self.tau = first, alpha, gamma, tau
        self.floor, self.ceil, self.start, self.fixed, self.slow = floor, ceil, rate, fixed, slow
        self.values: dict[str, list[float]] = {}  # address -> Q of keeping, Q of mutating
        self.incumbent: Told | None = None
        self._spread = [0.0, 0.0, 0.0]  # count, mean and sum of squares of the rewards
        self._parents: dict[int, Any] = {}
        self._macro: set[str] = set()  # addresses that others were seen under

    @property
    def rates(self) -> dict[str, float]:
        """The learned mutation rate of every decision seen so far: which knobs matter."""
        return {address: self.rate(address) for address in self.values}

    def rate(self, address: str) -> float:
        """clip(logistic((Q_mutate - Q_keep) / tau + logit(rate)), floor, ceil)."""
        keep, mutate = self.values.get(address, [0.0, 0.0])
        base = np.log(self.start / (1 - self.start))
        found = 1 / (1 + np.exp(-np.clip((mutate - keep) / self.tau + base, -50, 50)))
        return float(np.clip(found, self.floor, self.ceil))

    def propose(self, rng: np.random.Generator, number: int) -> Any:
        if number < self.first or self.incumbent is None:
            return self.space.sample(rng)
        best = self.incumbent.trial.candidate
        macro = rng.random() < self.slow
        found: set[str] = set()

        def look(address: str, domain: Any) -> Any:
            branch = address.removesuffix(".count") in self._macro
            if domain.size > 1 and (macro or not branch) and rng.random() < self.rate(address):
                found.add(address)
            return best[address]

        self.space.walk(look, False)
        if not found:
            return self.space.mutate(best, rng)

        def choose(address: str, domain: Any) -> Any:
            if address in best and domain.contains(best[address]):
                if address not in found:
                    return best[address]
                for _ in range(20):
                    value = domain.sample(rng)
                    if value != best[address]:
                        return value
            return domain.sample(rng)

        structure, candidate = self.space.walk(choose)
        return candidate if self.space.violated(structure) is None else self.space.mutate(best, rng)

    def _register(self, trial: Trial) -> None:
        super()._register(trial)
        if self.incumbent is not None and trial.number >= self.first:
            self._parents[trial.number] = self.incumbent

    def observe(self, told: Told) -> None:
        for address in told.trial.candidate:
            while address := address.rpartition("/")[0]:
                self._macro.add(address)
        parent = self._parents.pop(told.trial.number, None)
        if parent is not None and not self.fixed and np.isfinite(told.costs[0]):
            self._learn(parent, told)
        if self.incumbent is None or told.order() < self.incumbent.order():
            self.incumbent = told

    def _learn(self, parent: Told, told: Told) -> None:
        reward = parent.costs[0] - told.costs[0] if told.violation <= parent.violation else -abs(parent.costs[0])
        count, mean, squares = self._spread
        count += 1
        step = reward - mean
        mean += step / count
        squares += step * (reward - mean)
        self._spread = [count, mean, squares]
        scale = float(np.sqrt(squares / count)) or 1.0
        for address, value in parent.trial.candidate.items():
            q = self.values.setdefault(address, [0.0, 0.0])
            if address not in told.trial.candidate:
                continue
            action = int(told.trial.candidate[address] != value)
            q[action] += self.alpha * (reward / scale + self.gamma * max(q) - q[action])


strategy = AdaptiveMutation
