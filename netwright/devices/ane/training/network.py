"""A network whose layers are programs of the engine, forwards and backwards; the rest is the processor's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from netwright.graph import Store
from netwright.models import llama

from .blocks import GIVEN, NORM, Block, Change, blocks
from .ends import cross_entropy, norm_gradient, normalised
from .engine import Engine, Loaded

Arrays = dict[str, np.ndarray]


class Network:
    """Loss and gradients of windows of `length` tokens.

    `store` has the float32 weights; the programs have them as fp16, as of the last `reload`. With `change` (adapters)
    the weights are fixed and gradients are those of the adapters, called `layers.I.<input>`. Without `backwards` there
    are no backward programs, and no gradients.
    """

    def __init__(
        self, config: llama.Config, store: Store, length: int, engine: Engine, change: Change | None = None,
        backwards: bool = True,
    ) -> None:  # fmt: skip
        self.config, self.store, self.length, self.engine = config, store, length, engine
        self.trains_weights = change is None
        self.blocks = blocks(config, length, store, change)
        self.programs = (2 if backwards else 1) * len(self.blocks)
        engine.reserve(self.programs)
        self._forwards = [engine.program(b.forward) for b in self.blocks]
        self._backwards = [engine.program(b.backward) for b in self.blocks] if backwards else []

    @property
    def adapters(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of every adapter input of the network."""
        return {
            f"{_scope(b)}.{v.name}": v.shape for b in self.blocks for v in b.forward.inputs if v.name != "x"
        }  # fmt: skip

    def reload(self, prove: bool = False) -> None:
        """Every program takes the weights as they are now. No compile."""
        for program in (*self._forwards, *self._backwards):
            program.reload(prove)

    def loss(self, tokens: np.ndarray, targets: np.ndarray, adapters: Mapping[str, np.ndarray] | None = None) -> float:
        """Mean cross-entropy (nats a token) of tokens and targets int64 [S]."""
        x, _ = self._forward(tokens, adapters or {})
        return cross_entropy(self._logits(x)[0], targets)[0]

    def logits(self, tokens: np.ndarray, adapters: Mapping[str, np.ndarray] | None = None) -> np.ndarray:
        """Of tokens int64 [S], as float32 [S, V]."""
        return self._logits(self._forward(tokens, adapters or {})[0])[0]

    def gradients(
        self, tokens: np.ndarray, targets: np.ndarray, scale: float, grads: Arrays,
        adapters: Mapping[str, np.ndarray] | None = None,
    ) -> float:  # fmt: skip
        """Mean loss of a window; the gradients of `scale` times it are added to `grads`."""
        adapters = adapters or {}
        x, saved = self._forward(tokens, adapters)
        logits, n, unit, r = self._logits(x)
        loss, dlogits = cross_entropy(logits, targets)
        dlogits *= np.float32(scale)
        head = "embed.weight" if self.config.tied else "head.weight"
        dx, dscale = norm_gradient(unit, r, self.store["norm.weight"], dlogits @ self.store[head])
        if self.trains_weights:
            _add(grads, head, dlogits.T @ n)
            _add(grads, "norm.weight", dscale)
        for block, backward, x in zip(self.blocks[::-1], self._backwards[::-1], saved[::-1], strict=True):
            dx = self._backward(block, backward, x, dx, grads, adapters)
        if self.trains_weights:
            if "embed.weight" not in grads:
                grads["embed.weight"] = np.zeros_like(self.store["embed.weight"])
            np.add.at(grads["embed.weight"], tokens, dx)
        return loss

    def _forward(self, tokens: np.ndarray, adapters: Mapping[str, np.ndarray]) -> tuple[np.ndarray, list[np.ndarray]]:
        x = self.store["embed.weight"][tokens]
        saved = []
        for block, forward in zip(self.blocks, self._forwards):
            saved.append(x)
            (x,) = forward.run(*_given(block, adapters), x)
        return x, saved

    def _logits(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        unit, r = normalised(x, self.config.epsilon)
        n = unit * self.store["norm.weight"]
        return n @ self.store["embed.weight" if self.config.tied else "head.weight"].T, n, unit, r

    def _backward(
        self, block: Block, program: Loaded, x: np.ndarray, dy: np.ndarray, grads: Arrays,
        adapters: Mapping[str, np.ndarray],
    ) -> np.ndarray:  # fmt: skip
        unit, r = normalised(x, block.epsilon)
        scale = self.store[block.norm]
        n = unit * scale
        made: Any = program.run(dy, *_given(block, adapters), n)
        dx, dscale = norm_gradient(unit, r, scale, made[0])
        for product in block.products:
            left = dy if product.dy == GIVEN else made[product.dy]
            right = n if product.x == NORM else made[product.x]
            _add(grads, product.tensor, left.T @ right)
        for name, gradient in zip(block.adapters, made[1:]):
            _add(grads, f"{_scope(block)}.{name}", gradient)
        if self.trains_weights:
            _add(grads, block.norm, dscale)
        return dy + dx


def _scope(block: Block) -> str:
    return block.name.rpartition(".")[0]


def _given(block: Block, adapters: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    return [adapters[f"{_scope(block)}.{name}"] for name in block.adapters]


def _add(grads: Arrays, name: str, gradient: np.ndarray) -> None:
    if name in grads:
        grads[name] += gradient
    else:
        grads[name] = np.array(gradient, np.float32)
