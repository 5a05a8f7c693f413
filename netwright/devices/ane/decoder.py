"""Language models on the engine: prompts by whole-layer programs, tokens by two programs a layer.

    runner = AneRunner(model, mode="ane")           # or ane-prefill: prompts on the engine, tokens on the processor
    Generator(runner, model.tokenizer).text("Once upon a time")

A prompt is padded to a bucket and goes through an attention and a feed-forward program a layer; their keys and
values fill the cache. A token stands at position 0 of a bucket of 16: program A normalises and projects, the processor
rotates, keeps the cache and attends, program B does the rest of the layer. Embedding, final norm and vocabulary are the
processor's (Orion 2026, section 8). Where the compile budget (R5) has no room for both kinds of program, prompts take
the way of tokens, 16 at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from netwright.errors import UserError, nearest
from netwright.graph import Graph
from netwright.graph.prepared import Prepared
from netwright.models.generate import CpuRunner, check_tokens, context_of
from netwright.models.model import Model

from ..host.products import Products
from . import profile as profiles
from .cache import BUCKETS, DECODE, bucket
from .programs import Programs

MODES = ("ane-prefill", "ane")


class AneRunner:
    """A `netwright.models.generate.Runner`, on a new engine of the name `engine` unless `programs` are given.

    Raises UserError for an unknown mode, a context the network has not, and an engine that is not there.
    """

    def __init__(
        self, model: Model, *, context: int | None = None, mode: str = "ane", profile: str = profiles.DEFAULT,
        programs: Programs | None = None, engine: str = "simulator",
    ) -> None:
        if mode not in MODES:
            raise UserError(f"no mode {mode!r} on the engine{nearest(mode, MODES)}")
        self.model, self.mode = model, mode
        self.context = context_of(model, context)
        self.programs = programs or Programs(model, profile, engine=engine)
        self.position = 0
        self._layers = range(model.config.layers)
        self._graphs: dict[tuple[str, int, int], Prepared] = {}
        # BLAS's threads would wait for more work on the cores that the executor's products need next
        self._products = Products(model)
        decodes = mode == "ane-prefill"
        self._processor = CpuRunner(model, context=self.context, products=self._products) if decodes else None

    def reset(self) -> None:
        self.position = 0

    def prefill(self, tokens: Sequence[int]) -> np.ndarray:
        if not tokens:
            raise UserError("no token to begin with: give a prompt")
        self._check(tokens)
        size = self._whole(len(tokens)) if self.position == 0 else None
        if size is not None:
            logits = self._logits(self._whole_prompt(tokens, size)[-1:])[0]
        elif self._processor is not None:
            self._processor.position = self.position
            logits = self._processor.prefill(tokens)
        else:
            for start in range(0, len(tokens), DECODE):
                logits = self._step(tokens[start : start + DECODE], start)
        self.position += len(tokens)
        return logits

    def step(self, token: int) -> np.ndarray:
        self._check([token])
        if self._processor is not None:
            self._processor.position = self.position
            logits = self._processor.step(token)
        else:
            logits = self._step([token], 0)
        self.position += 1
        return logits

    def sequence(self, tokens: Sequence[int]) -> np.ndarray:
        """Logits [S, V] after every token of a text from the start, by whole-layer programs; the cache has it then.

        Raises UserError where the text is too long for a bucket or the compile budget has no room for its programs.
        """
        self.reset()
        self._check(tokens)
        size = self._whole(len(tokens))
        if size is None:
            raise UserError(f"no programs for {len(tokens):,} positions at once: at most {BUCKETS[-1]:,}, and within "
                            f"a budget of {self.programs.simulator.profile.soft_budget} compiles")
        x = self._whole_prompt(tokens, size)
        self.position = len(tokens)
        return self._logits(x)

    def _check(self, tokens: Sequence[int]) -> None:
        check_tokens(self.model, tokens, self.position, self.context)

    def _whole(self, length: int) -> int | None:
        """The bucket in which a prompt goes through whole layers; None where another way is to be taken."""
        layers, programs = len(self._layers), self.programs
        if length > BUCKETS[-1] or bucket(length) > max(self.model.config.context, BUCKETS[0]):
            return None
        size = bucket(length)
        if programs.key("attention", 0, size) in programs.cache:
            return size
        decoding = self.mode == "ane" and programs.key("project", 0, DECODE) not in programs.cache
        return size if programs.affordable((4 if decoding else 2) * layers) else None

    def _whole_prompt(self, tokens: Sequence[int], size: int) -> np.ndarray:
        x = np.zeros((size, self.model.config.width), np.float32)
        x[: len(tokens)] = self._embedded(tokens, 0)
        for layer in self._layers:
            x, k, v = self.programs.kernel("attention", layer, size).run(x)
            (x,) = self.programs.kernel("feed_forward", layer, size).run(x)
            for name, rows in (("k", k), ("v", v)):
                cache = self._states(layer)[f"layers.{layer}.{name}_cache"]  # [heads, context, channels]
                heads, _, channels = cache.shape
                cache[:, : len(tokens)] = rows[: len(tokens)].reshape(-1, heads, channels).transpose(1, 0, 2)
        return x[: len(tokens)]

    def _step(self, tokens: Sequence[int], after: int) -> np.ndarray:
        count, position = len(tokens), self.position + after
        x = np.zeros((DECODE, self.model.config.width), np.float32)
        x[:count] = self._embedded(tokens, position)
        for layer in self._layers:
            parts = self.programs.kernel("project", layer, DECODE).run(x)
            attend = self._attend(layer, count)
            rows = (part[:count] for part in (x, *parts))
            (hidden,) = attend.step(*rows, np.array([position]))
            x[:count] = hidden
            (x,) = self.programs.kernel("feed_forward", layer, DECODE).run(x)
        return self._logits(x[count - 1 : count])[0]

    def _states(self, layer: int) -> dict[str, np.ndarray]:
        if self._processor is not None:
            return self._processor.states
        return self._attend(layer, 1).states

    def _attend(self, layer: int, count: int) -> Prepared:
        builder, model = self.model.builders.attend, self.model
        shares = self._attend(layer, 1) if count > 1 else None
        return self._prepared(
            ("attend", layer, count),
            lambda: builder(model.config, layer, self.context, count, store=model.store), shares,
        )  # fmt: skip

    def _embedded(self, tokens: Sequence[int], position: int) -> np.ndarray:
        model, count = self.model, len(tokens)
        ready = self._prepared(
            ("embed", 0, count), lambda: model.builders.embed(model.config, count, store=model.store)
        )
        places = (np.array([position]),)[: len(ready.graph.inputs) - 1]  # GPT-2's takes the first token's position
        return ready.step(np.array(tokens, np.int64), *places)[0]

    def _logits(self, x: np.ndarray) -> np.ndarray:
        model, count = self.model, len(x)
        ready = self._prepared(
            ("head", 0, count), lambda: model.builders.head(model.config, count, store=model.store)
        )
        return ready.step(x)[0]

    def _prepared(
        self, key: tuple[str, int, int], build: Callable[[], Graph], shares: Prepared | None = None
    ) -> Prepared:
        if key not in self._graphs:
            self._graphs[key] = Prepared(build(), shares=shares, products=self._products)
        return self._graphs[key]
