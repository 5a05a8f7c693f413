"""AdamW, its schedule, clipping, and loss scaling, on float32 arrays by name."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Schedule:
    """Learning rate of each step: linear warm-up, then a half cosine down to `floor` of the peak at the last step."""

    peak: float
    steps: int
    warmup: int = 100
    floor: float = 0.1

    def rate(self, step: int) -> float:
        """Of step `step`, counted from 0."""
        if step < self.warmup:
            return self.peak * (step + 1) / self.warmup
        share = min(1.0, (step - self.warmup) / max(1, self.steps - self.warmup))
        return self.peak * (self.floor + (1 - self.floor) * 0.5 * (1 + math.cos(math.pi * share)))


@dataclass
class AdamW:
    """Adam with decoupled decay (Loshchilov and Hutter 2019, algorithm 2); matrices decay, vectors do not.

    `step` counts updates; `m` and `v` have the moments by parameter.
    """

    beta1: float = 0.9
    beta2: float = 0.95
    epsilon: float = 1e-8
    decay: float = 0.1
    step: int = 0
    m: dict[str, np.ndarray] = field(default_factory=dict)
    v: dict[str, np.ndarray] = field(default_factory=dict)

    def update(self, weights: Mapping[str, np.ndarray], grads: Mapping[str, np.ndarray], rate: float) -> None:
        """Move `weights`, in place, against `grads`."""
        self.step += 1
        first, second = 1 - self.beta1**self.step, 1 - self.beta2**self.step
        for name, g in grads.items():
            w = weights[name]
            if name not in self.m:
                self.m[name], self.v[name] = np.zeros_like(w), np.zeros_like(w)
            m, v = self.m[name], self.v[name]
            m += (1 - self.beta1) * (g - m)
            v *= self.beta2
            v += (1 - self.beta2) * g * g
            if w.ndim > 1 and self.decay:
                w *= 1 - rate * self.decay
            w -= (rate / first) * m / (np.sqrt(v / second) + self.epsilon)


def norm(grads: Mapping[str, np.ndarray]) -> float:
    """Euclidean norm over all gradients."""
    return math.sqrt(sum(float(np.vdot(g, g)) for g in grads.values()))


def clip(grads: Mapping[str, np.ndarray], largest: float) -> float:
    """Scale all gradients, in place, to a norm of at most `largest`; returns the norm before."""
    found = norm(grads)
    if largest and found > largest:
        for g in grads.values():
            g *= np.float32(largest / found)
    return found


@dataclass
class LossScale:
    """The factor on the loss that keeps small gradients above fp16's smallest numbers (Micikevicius et al. 2018, 3.2).

    Dynamic: halved, and the step left out, when a gradient overflows; doubled after `patience` good steps. Fixed: it
    stays, and overflows are clamped.
    """

    value: float = 1024.0
    dynamic: bool = True
    patience: int = 200
    good: int = 0
    skipped: int = 0
    largest: float = 65536.0

    def told(self, overflow: bool) -> bool:
        """Whether the step's gradients may be used."""
        if not self.dynamic:
            return True
        if overflow:
            self.value, self.good, self.skipped = max(1.0, self.value / 2), 0, self.skipped + 1
            return False
        self.good += 1
        if self.good >= self.patience:
            self.value, self.good = min(self.largest, self.value * 2), 0
        return True

    def state(self) -> dict[str, Any]:
        """What changes while training."""
        return {"value": self.value, "good": self.good, "skipped": self.skipped}
