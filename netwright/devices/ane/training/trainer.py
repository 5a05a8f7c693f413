"""The training loop: windows, gradients, clipping, AdamW, delta reload (Orion 2026, section 9)."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from netwright.errors import UserError

from .data import Tokens
from .network import Arrays, Network
from .optimiser import AdamW, LossScale, Schedule, clip

PROVED_EVERY = 100  # steps between probes that a reload changed the weights; the first is always proved


@dataclass(frozen=True)
class Recipe:
    """How to train.

    Attributes:
        accumulate: windows a step, one after the other.
        length: tokens a window.
        rate: peak learning rate, after `warmup` steps; it ends at a tenth of it.
        decay: of matrices (AdamW); `clip` bounds the norm of all gradients, 0 leaves them.
        loss_scale: fixed factor on the loss, 0 for a dynamic one.
    """

    steps: int = 300
    accumulate: int = 4
    length: int = 128
    rate: float = 1e-3
    warmup: int = 20
    decay: float = 0.1
    clip: float = 1.0
    loss_scale: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "accumulate", "length"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} {getattr(self, name)}: at least 1 is needed")
        if not 0 < self.rate < float("inf"):
            raise UserError(f"learning rate {self.rate:g}: it must be a positive number")
        for name in ("warmup", "decay", "clip", "loss_scale", "seed"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise UserError(f"{name} {getattr(self, name)}: it must not be negative")


@dataclass(frozen=True)
class Row:
    """What a step came to.

    Attributes:
        loss: mean over the step's windows (nats a token), before the update.
        grad_norm: of the unscaled gradients, before clipping.
        clamps: elements that were clamped or NaN in this step; `skipped`: 1 where the step was left out for that.
        compiles: of the process so far.
        ms: measured on this machine, the simulated engine included.
    """

    step: int
    loss: float
    rate: float
    grad_norm: float
    clamps: int
    skipped: int
    loss_scale: float
    compiles: int
    ms: float
    tokens_s: float


class Trainer:
    """Trains `weights` (arrays changed in place: the network's, or its adapters) on the windows of `tokens`.

    Everything that decides the next step is in the weights, the moments, `step` and the loss scale: data order follows
    from the seed and the step. `about` is what else a checkpoint must agree in; `updating` says that the weights are
    between two steps' just now.
    """

    def __init__(
        self, network: Network, weights: Arrays, tokens: Tokens, recipe: Recipe, about: dict[str, Any] | None = None
    ) -> None:
        self.network, self.weights, self.tokens, self.recipe = network, weights, tokens, recipe
        self.optimiser = AdamW(decay=recipe.decay)
        self.schedule = Schedule(recipe.rate, recipe.steps, recipe.warmup)
        self.scale = LossScale(recipe.loss_scale or 1024.0, dynamic=not recipe.loss_scale)
        self.about = {**asdict(network.config), **(about or {})}
        self.step = 0
        self.updating = False
        self._proved: int | None = None

    def one(self) -> Row:
        """One step. Raises UserError where the engine keeps old weights, FloatingPointError for a loss that is none."""
        started, guard, r = time.perf_counter(), self.network.engine.guard, self.recipe
        before, factor = guard.total, self.scale.value
        grads: Arrays = {}
        losses = []
        adapters = None if self.network.trains_weights else self.weights
        for index in range(self.step * r.accumulate, (self.step + 1) * r.accumulate):
            window = self.tokens.window(self.tokens.start(index, r.length, r.seed), r.length)
            losses.append(self.network.gradients(*window, factor, grads, adapters))
        loss = float(np.mean(losses))
        if not np.isfinite(loss):
            raise FloatingPointError(f"the loss is {loss} at step {self.step}")
        for g in grads.values():
            g *= np.float32(1 / (factor * r.accumulate))
        clamps, self.updating = guard.total - before, True
        used = self.scale.told(clamps > 0 or not all(np.isfinite(g).all() for g in grads.values()))
        rate = self.schedule.rate(self.step)
        found = clip(grads, r.clip) if used else float("nan")
        if used:
            self.optimiser.update(self.weights, grads, rate)
            self._reload()
        self.step, self.updating = self.step + 1, False
        seconds = time.perf_counter() - started
        return Row(self.step, loss, rate, found, guard.total - before, int(not used), factor,
                   self.network.engine.compiles, seconds * 1e3, r.accumulate * r.length / seconds)

    def run(self, told: Callable[[Row], None]) -> None:
        """Every step that is left; `told` hears of each."""
        while self.step < self.recipe.steps:
            told(self.one())

    def _reload(self) -> None:
        if self.network.trains_weights:
            due = self._proved is None or self.step - self._proved >= PROVED_EVERY
            self.network.reload(prove=due)
            if due:
                self._proved = self.step

    def state(self) -> dict[str, Any]:
        """What a checkpoint must hold beside the arrays."""
        return {"step": self.step, "updates": self.optimiser.step, "scale": self.scale.state(),
                "guard": asdict(self.network.engine.guard)}
