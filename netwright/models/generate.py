"""Writing text with a language model: what a runner is, the one of this machine's processor, and the loop.

    runner = CpuRunner(model, context=512)
    generator = Generator(runner, model.tokenizer)
    for piece in generator.stream("Once upon a time", Sampler(temperature=0.8), max_tokens=100):
        print(piece, end="")
    generator.stats.decode_tokens_s
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np

from netwright.errors import UserError
from netwright.graph import Graph
from netwright.graph.prepared import Prepared, Products

from .model import Model
from .sampling import Sampler
from .tokenizers import Tokenizer

CHUNK = 128  # tokens of a prompt that are computed at once
DEFAULT_CONTEXT = 2048  # positions of the cache where nothing else is said and the network has more


class Runner(Protocol):
    """A network that goes on from what it has been given. One runner holds one text at a time."""

    context: int  # positions that fit
    position: int  # of the next token

    def reset(self) -> None:
        """Forget everything."""
        ...

    def prefill(self, tokens: Sequence[int]) -> np.ndarray:
        """Take several tokens; logits [V] after the last. Raises UserError where they do not fit the context."""
        ...

    def step(self, token: int) -> np.ndarray:
        """Take one token; logits [V] after it. Raises UserError at the end of the context."""
        ...


def context_of(model: Model, context: int | None) -> int:
    """The positions a runner keeps: those asked for, else the network's, at most DEFAULT_CONTEXT. Raises UserError for
    more than the network has."""
    longest: int = model.config.context
    if context is not None and not 1 <= context <= longest:
        raise UserError(f"a context of {context:,} tokens: {model.name} takes 1 to {longest:,}")
    return context if context is not None else min(longest, DEFAULT_CONTEXT)


def check_tokens(model: Model, tokens: Sequence[int], position: int, context: int) -> None:
    """Raise UserError where tokens do not fit behind `position`, or are not the network's."""
    if position + len(tokens) > context:
        raise UserError(
            f"{len(tokens):,} tokens after {position:,} do not fit a context of {context:,}: shorten the "
            f"prompt, ask for fewer tokens, or give a longer context (this network: {model.config.context:,})"
        )
    known = model.config.vocabulary
    wrong = next((t for t in tokens if not 0 <= t < known), None)
    if wrong is not None:
        raise UserError(f"token {wrong} is not one of the network's {known:,}")


class CpuRunner:
    """Runs the graphs of `decode` on this machine in float32. Raises UserError for a context the network has not.

    `products`, where there are some, multiply weights with one token's row: `netwright.devices.host.products` has those
    of this machine.
    """

    def __init__(self, model: Model, *, context: int | None = None, products: Products | None = None) -> None:
        self.model = model
        self.context = context_of(model, context)
        self.position = 0
        self._one = Prepared(self._decode(1), products=products)
        self._several = lru_cache(maxsize=2)(lambda count: Prepared(self._decode(count), shares=self._one))

    @property
    def states(self) -> dict[str, np.ndarray]:
        """The cache: `layers.I.k_cache` and `layers.I.v_cache` [heads, context, channels], updated in place."""
        return self._one.states

    def reset(self) -> None:
        self.position = 0

    def prefill(self, tokens: Sequence[int]) -> np.ndarray:
        if not tokens:
            raise UserError("no token to begin with: give a prompt")
        check_tokens(self.model, tokens, self.position, self.context)
        logits = None
        for start in range(0, len(tokens), CHUNK):
            logits = self._take(tokens[start : start + CHUNK])
        assert logits is not None
        return logits

    def step(self, token: int) -> np.ndarray:
        check_tokens(self.model, [token], self.position, self.context)
        return self._take([token])

    def _decode(self, count: int) -> Graph:
        made: Graph = self.model.builders.decode(self.model.config, self.context, count, store=self.model.store)
        return made

    def _take(self, tokens: Sequence[int]) -> np.ndarray:
        prepared = self._one if len(tokens) == 1 else self._several(len(tokens))
        (logits,) = prepared.step(np.array(tokens, np.int64), np.array([self.position]))
        self.position += len(tokens)
        return logits[0]


@dataclass
class Stats:
    """Counts and seconds of one text. The first new token comes out of the prefill."""

    prompt_tokens: int = 0
    tokens: int = 0
    prefill_s: float = 0.0
    decode_s: float = 0.0
    stopped: str = ""  # "end" (the network's own), "length" (as many as asked for), "context" (no room)

    @property
    def prefill_tokens_s(self) -> float:
        """Prompt tokens a second."""
        return self.prompt_tokens / self.prefill_s if self.prefill_s else 0.0

    @property
    def decode_tokens_s(self) -> float:
        """New tokens a second, without the first."""
        return (self.tokens - 1) / self.decode_s if self.decode_s and self.tokens > 1 else 0.0


class Generator:
    """Text out of a runner and a tokenizer. `tokens` are those of the last text, the prompt's first."""

    def __init__(self, runner: Runner, tokenizer: Tokenizer) -> None:
        self.runner, self.tokenizer = runner, tokenizer
        self.stats = Stats()
        self.tokens: list[int] = []

    def stream(
        self, prompt: str, sampler: Sampler | None = None, *, max_tokens: int = 128, special: bool = False
    ) -> Iterator[str]:
        """Pieces of new text as they are complete. `special` lets the prompt spell control tokens.

        Ends at the network's own end, after `max_tokens`, or where the context is full: `stats.stopped` says which.
        Raises UserError for an empty prompt where the network has no token to begin with, and for one that is too long.
        """
        if max_tokens < 1:
            raise UserError(f"{max_tokens} tokens asked for: give at least 1")
        sampler = sampler or Sampler()
        self.tokens = self.tokenizer.encode(prompt, begin=True, special=special)
        self.stats = Stats(prompt_tokens=len(self.tokens))
        self.runner.reset()
        text = self.tokenizer.stream()
        for token in self.tokens:
            text.push(token)
        start = time.perf_counter()
        logits = self.runner.prefill(self.tokens)
        self.stats.prefill_s = time.perf_counter() - start
        while True:
            token = sampler.choose(logits, self.tokens)
            if token in self.tokenizer.end:
                self.stats.stopped = "end"
                break
            if token >= len(self.tokenizer):
                raise UserError(f"the network chose token {token}, and its tokenizer has {len(self.tokenizer):,}")
            self.tokens.append(token)
            self.stats.tokens += 1
            yield text.push(token)
            if self.stats.tokens == max_tokens:
                self.stats.stopped = "length"
                break
            if self.runner.position >= self.runner.context:
                self.stats.stopped = "context"
                break
            start = time.perf_counter()
            logits = self.runner.step(token)
            self.stats.decode_s += time.perf_counter() - start
        yield text.finish()

    def text(self, prompt: str, sampler: Sampler | None = None, **options: int) -> str:
        """All of it at once; options as `stream`."""
        return "".join(self.stream(prompt, sampler, **options))  # type: ignore[arg-type]


def perplexity(model: Model, tokens: Sequence[int], *, window: int = 512) -> tuple[float, int]:
    """Mean negative log-likelihood (nats a token) and how many tokens were predicted.

    Tokens are cut into windows that know nothing of each other; the first of each is given, the others predicted.
    Raises UserError for a window that the network is too short for.
    """
    if not 2 <= window <= model.config.context:
        raise UserError(f"windows of {window:,} tokens: {model.name} takes 2 to {model.config.context:,}")
    whole: dict[int, Prepared] = {}
    total, count = 0.0, 0
    for start in range(0, len(tokens) - 1, window):
        part = np.array(tokens[start : start + window], np.int64)
        if len(part) < 2:
            break
        if len(part) not in whole:
            whole = {len(part): Prepared(model.builders.full(model.config, len(part), store=model.store))}
        logits = whole[len(part)].step(part)[0][:-1].astype(np.float64)
        logits -= logits.max(-1, keepdims=True)
        logits -= np.log(np.exp(logits).sum(-1, keepdims=True))
        total -= float(logits[np.arange(len(part) - 1), part[1:]].sum())
        count += len(part) - 1
    if not count:
        raise UserError("at least two tokens are needed for a likelihood")
    return total / count, count
