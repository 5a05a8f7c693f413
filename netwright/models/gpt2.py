"""GPT-2: learned positions, layer norm before each block, gelu, biases everywhere (Radford et al. 2019, section 2.3).

Parameters, all float32, all matrices [out, in] (d width, h hidden, V tokens, C positions):

    embed.weight [V, d]                         position.weight [C, d]
    layers.I.attention_norm.weight, .bias [d]   layers.I.q|k|v|o.weight [d, d], .bias [d]
    layers.I.ffn_norm.weight, .bias [d]         layers.I.up.weight [h, d], .bias [h]
    layers.I.down.weight [d, h], .bias [d]      norm.weight, .bias [d]
    head.weight [V, d] where the output layer is not the embedding

All graphs of a network look into one store, and those that keep a cache name its states alike: `layers.I.k_cache`,
`layers.I.v_cache` [heads, context, D]. The functions are those of `llama`, with the same inputs and outputs, so that
what runs one family runs the other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from netwright.graph import Builder, Graph, Init, Store, Type, Value
from netwright.graph.ops.activation import Gelu
from netwright.graph.ops.attention import CausalAttention
from netwright.graph.ops.binary import Add
from netwright.graph.ops.index import Gather
from netwright.graph.ops.linear import Linear
from netwright.graph.ops.norm import LayerNorm

from .parts import (
    ONES,
    SMALL,
    ZEROS,
    builder,
    cached_attention,
    check_sizes,
    flat,
    heads,
    last,
    places,
    position_input,
    residual,
    token_input,
)  # fmt: skip


@dataclass(frozen=True)
class Config:
    """The sizes of a network; the defaults are GPT-2 124M. Raises ValueError for sizes that do not go together."""

    vocabulary: int = 50257
    width: int = 768
    layers: int = 12
    heads: int = 12
    hidden: int = 3072
    context: int = 1024
    epsilon: float = 1e-5
    tied: bool = True  # the output layer is the embedding

    def __post_init__(self) -> None:
        sizes = ("vocabulary", "width", "layers", "heads", "hidden", "context")
        check_sizes({name: getattr(self, name) for name in sizes})
        if self.width % self.heads:
            raise ValueError(f"{self.heads} heads cannot share {self.width} channels evenly")
        if not self.epsilon > 0:
            raise ValueError(f"epsilon {self.epsilon}: needs above 0")

    @property
    def kv_heads(self) -> int:
        """Key heads: one for each query head."""
        return self.heads

    @property
    def head_width(self) -> int:
        """Channels of a head."""
        return self.width // self.heads


def parameters(config: Config) -> dict[str, tuple[int, ...]]:
    """Every parameter's name and shape."""
    c = config
    square = dict.fromkeys(("q", "k", "v", "o"), (c.width, c.width))
    layer = square | {"up": (c.hidden, c.width), "down": (c.width, c.hidden)}
    shapes: dict[str, tuple[int, ...]] = {"embed.weight": (c.vocabulary, c.width)}
    shapes["position.weight"] = (c.context, c.width)
    norms = [f"layers.{i}.{name}" for i in range(c.layers) for name in ("attention_norm", "ffn_norm")]
    for i in range(c.layers):
        for name, shape in layer.items():
            shapes |= {f"layers.{i}.{name}.weight": shape, f"layers.{i}.{name}.bias": shape[:1]}
    for name in (*norms, "norm"):
        shapes |= {f"{name}.weight": (c.width,), f"{name}.bias": (c.width,)}
    return shapes | ({} if c.tied else {"head.weight": (c.vocabulary, c.width)})


def full(config: Config, length: int, *, embedded: bool = False, store: Store | None = None) -> Graph:
    """A whole sequence: tokens int64 [S] (or, `embedded`, x [S, d], positions included) -> logits [S, V].

    Raises ValueError for more positions than the network has.
    """
    b = builder("gpt2.full", store)
    table = None if embedded and not config.tied else _table(b, config)
    if table is None or embedded:
        x = b.input("x", Type((length, config.width)))
    else:
        x = _embed(b, config, table, token_input(b, length))
    for layer in range(config.layers):
        x, _, _ = _attention(b, config, layer, x)
        x = _feed_forward(b, config, layer, x)
    b.output(_head(b, config, x, table))
    return b.graph()


def decode(
    config: Config, context: int, tokens: int = 1, *, every: bool = False, store: Store | None = None
) -> Graph:
    """A step with a cache: tokens int64 [T], position int64 [1] of the first -> logits [1, V] after the last.

    `every` gives the logits of all, [T, V]. The states hold keys and values of `context` positions; a step reads
    those before its position and writes its own. Raises ValueError for a longer context than the network's.
    """
    if context > config.context:
        raise ValueError(f"a context of {context} positions; the network has learned {config.context}")
    b = builder("gpt2.decode", store)
    given, position, table = token_input(b, tokens), position_input(b), _table(b, config)
    x = _embed(b, config, table, given, position)
    for layer in range(config.layers):
        x = _attend(b, config, layer, x, _project(b, config, layer, x), position, context)
        x = _feed_forward(b, config, layer, x)
    b.output(_head(b, config, x if every else last(b, x), table))
    return b.graph()


def embed(config: Config, length: int, *, store: Store | None = None) -> Graph:
    """tokens int64 [S], position int64 [1] -> x [S, d]: token and position embedding."""
    b = builder("gpt2.embed", store)
    given, position = token_input(b, length), position_input(b)
    b.output(_embed(b, config, _table(b, config), given, position))
    return b.graph()


def attention(config: Config, layer: int, length: int, *, store: Store | None = None) -> Graph:
    """One attention block over S positions from 0: x [S, d] -> hidden, k, v [S, d].

    Norm, queries, keys and values, causal attention, projection, residual (Orion 2026, section 8).
    """
    b = builder("gpt2.attention", store)
    b.output(*_attention(b, config, layer, b.input("x", Type((length, config.width)))))
    return b.graph()


def feed_forward(config: Config, layer: int, length: int, *, store: Store | None = None) -> Graph:
    """One feed-forward block: x [S, d] -> x + down(gelu(up norm(x))). Also program B of a decode step."""
    b = builder("gpt2.feed_forward", store)
    b.output(_feed_forward(b, config, layer, b.input("x", Type((length, config.width)))))
    return b.graph()


def project(config: Config, layer: int, length: int, *, store: Store | None = None) -> Graph:
    """Program A of a decode step: x [S, d] -> q, k, v [S, d]."""
    b = builder("gpt2.project", store)
    b.output(*_project(b, config, layer, b.input("x", Type((length, config.width)))))
    return b.graph()


def attend(config: Config, layer: int, context: int, length: int = 1, *, store: Store | None = None) -> Graph:
    """What is between programs A and B: x, q, k, v [S, d], position int64 [1] -> hidden [S, d].

    Writes the cache (its states), attends, projects, adds the residual.
    """
    b = builder("gpt2.attend", store)
    x, *qkv = (b.input(name, Type((length, config.width))) for name in ("x", "q", "k", "v"))
    b.output(_attend(b, config, layer, x, tuple(qkv), position_input(b), context))
    return b.graph()


def head(config: Config, length: int = 1, *, store: Store | None = None) -> Graph:
    """The end: x [S, d] -> logits [S, V] of the final norm."""
    b = builder("gpt2.head", store)
    x = b.input("x", Type((length, config.width)))
    b.output(_head(b, config, x, _table(b, config) if config.tied else None))
    return b.graph()


def _table(b: Builder, c: Config) -> Value:
    return b.param("embed.weight", (c.vocabulary, c.width), init=SMALL)


def _embed(b: Builder, c: Config, table: Value, tokens: Value, position: Value | None = None) -> Value:
    length = tokens.shape[0]
    if length > c.context:
        raise ValueError(f"{length} positions; the network has learned {c.context}")
    learned = b.param("position.weight", (c.context, c.width), init=SMALL)
    if position is None:
        rows = b.constant(np.arange(length, dtype=np.int64), "range")
    else:
        rows = places(b, length, position)
    return b(Add(), b(Gather(), table, tokens), b(Gather(), learned, rows), name="embedded")


def _linear(b: Builder, name: str, x: Value, out: int, init: Init = SMALL) -> Value:
    weight = b.param(f"{name}.weight", (out, x.shape[-1]), init=init)
    return b(Linear(), x, weight, b.param(f"{name}.bias", (out,), init=ZEROS), name=name)


def _norm(b: Builder, c: Config, name: str, x: Value) -> Value:
    scale = b.param(f"{name}.weight", (c.width,), init=ONES)
    return b(LayerNorm(c.epsilon), x, scale, b.param(f"{name}.bias", (c.width,), init=ZEROS), name=name)


def _project(b: Builder, c: Config, layer: int, x: Value) -> tuple[Value, ...]:
    with b.scope(f"layers.{layer}"):
        n = _norm(b, c, "attention_norm", x)
        return tuple(_linear(b, name, n, c.width) for name in ("q", "k", "v"))


def _attention(b: Builder, c: Config, layer: int, x: Value) -> tuple[Value, Value, Value]:
    q, k, v = _project(b, c, layer, x)
    with b.scope(f"layers.{layer}"):
        y = b(CausalAttention(), *(heads(b, part, c.heads) for part in (q, k, v)), name="attended")
        o = _linear(b, "o", flat(b, y), c.width, residual(c.layers))
        return b(Add(), x, o, name="hidden"), k, v


def _attend(
    b: Builder, c: Config, layer: int, x: Value, qkv: tuple[Value, ...], position: Value, context: int
) -> Value:
    with b.scope(f"layers.{layer}"):
        q, k, v = (heads(b, part, c.heads) for part in qkv)
        y = cached_attention(b, q, k, v, position, context)
        return b(Add(), x, _linear(b, "o", flat(b, y), c.width, residual(c.layers)), name="hidden")


def _feed_forward(b: Builder, c: Config, layer: int, x: Value) -> Value:
    with b.scope(f"layers.{layer}"):
        n = _norm(b, c, "ffn_norm", x)
        y = b(Gelu(approximate=True), _linear(b, "up", n, c.hidden))
        return b(Add(), x, _linear(b, "down", y, c.width, residual(c.layers)), name="out")


def _head(b: Builder, c: Config, x: Value, table: Value | None) -> Value:
    n = _norm(b, c, "norm", x)
    if c.tied:
        return b(Linear(), n, table, name="head")
    return b(Linear(), n, b.param("head.weight", (c.vocabulary, c.width), init=SMALL), name="head")
