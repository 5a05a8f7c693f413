"""Llama-type decoders: RMS norm, rotary positions, grouped-query attention, SwiGLU (Touvron et al. 2023, section 2.2).

Parameters, all float32, all matrices [out, in] (d width, H query and G key heads of D channels, h hidden, V tokens):

    embed.weight [V, d]                      layers.I.attention_norm.weight [d]     layers.I.q.weight [H D, d]
    layers.I.k.weight, .v.weight [G D, d]    layers.I.o.weight [d, H D]             layers.I.ffn_norm.weight [d]
    layers.I.gate.weight, .up.weight [h, d]  layers.I.down.weight [d, h]            norm.weight [d]
    head.weight [V, d] where the output layer is not the embedding

q and k pair channel i of a head with i + D/2 (see the op `Rope`); readers of files permute rows where the file pairs
others. All graphs of a network look into one store, and those that keep a cache name its states alike:
`layers.I.k_cache`, `layers.I.v_cache` [G, context, D]. Positions count from 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from netwright.graph import Builder, Graph, Init, Store, Type, Value
from netwright.graph.ops.activation import Silu
from netwright.graph.ops.attention import CausalAttention
from netwright.graph.ops.binary import Add, Mul
from netwright.graph.ops.index import Gather
from netwright.graph.ops.linear import Linear
from netwright.graph.ops.norm import RMSNorm
from netwright.graph.ops.rope import Rope

from .parts import (
    ONES,
    SMALL,
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
    """The sizes of a network. Raises ValueError for sizes that do not go together."""

    vocabulary: int
    width: int
    layers: int
    heads: int
    kv_heads: int
    hidden: int
    context: int
    head_width: int = 0  # 0: width / heads
    epsilon: float = 1e-5
    rope_base: float = 10000.0
    tied: bool = True  # the output layer is the embedding

    def __post_init__(self) -> None:
        if not self.head_width and self.heads > 0 and self.width % self.heads == 0:
            object.__setattr__(self, "head_width", self.width // self.heads)
        sizes = ("vocabulary", "width", "layers", "heads", "kv_heads", "hidden", "context", "head_width")
        check_sizes({name: getattr(self, name) for name in sizes})
        if self.heads % self.kv_heads:
            raise ValueError(f"{self.heads} query heads cannot share {self.kv_heads} key heads evenly")
        if self.head_width % 2:
            raise ValueError(f"heads of {self.head_width} channels have no pairs to rotate")
        if not (self.epsilon > 0 and self.rope_base > 1):
            raise ValueError(f"epsilon {self.epsilon} and rotary base {self.rope_base}: needs above 0 and above 1")


def parameters(config: Config) -> dict[str, tuple[int, ...]]:
    """Every parameter's name and shape."""
    c = config
    query, key = c.heads * c.head_width, c.kv_heads * c.head_width
    layer: dict[str, tuple[int, ...]] = {
        "attention_norm": (c.width,), "q": (query, c.width), "k": (key, c.width), "v": (key, c.width),
        "o": (c.width, query), "ffn_norm": (c.width,), "gate": (c.hidden, c.width), "up": (c.hidden, c.width),
        "down": (c.width, c.hidden),
    }  # fmt: skip
    shapes: dict[str, tuple[int, ...]] = {"embed.weight": (c.vocabulary, c.width)}
    shapes |= {f"layers.{i}.{name}.weight": shape for i in range(c.layers) for name, shape in layer.items()}
    return shapes | {"norm.weight": (c.width,)} | ({} if c.tied else {"head.weight": (c.vocabulary, c.width)})


def full(config: Config, length: int, *, embedded: bool = False, store: Store | None = None) -> Graph:
    """A whole sequence: tokens int64 [S] (or, `embedded`, x [S, d]) -> logits [S, V]."""
    b = builder("llama.full", store)
    table = None if embedded and not config.tied else _table(b, config)
    if table is None or embedded:
        x = b.input("x", Type((length, config.width)))
    else:
        x = b(Gather(), table, token_input(b, length), name="embedded")
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
    those before its position and writes its own.
    """
    b = builder("llama.decode", store)
    given, position, table = token_input(b, tokens), position_input(b), _table(b, config)
    x, tables = b(Gather(), table, given, name="embedded"), _tables(b, config, context, tokens, position)
    for layer in range(config.layers):
        x = _attend(b, config, layer, x, _project(b, config, layer, x), position, tables, context)
        x = _feed_forward(b, config, layer, x)
    b.output(_head(b, config, x if every else last(b, x), table))
    return b.graph()


def embed(config: Config, length: int, *, store: Store | None = None) -> Graph:
    """tokens int64 [S] -> x [S, d]."""
    b = builder("llama.embed", store)
    b.output(b(Gather(), _table(b, config), token_input(b, length), name="embedded"))
    return b.graph()


def attention(config: Config, layer: int, length: int, *, store: Store | None = None) -> Graph:
    """One attention block over S positions from 0: x [S, d] -> hidden [S, d], k and v [S, G D] (k is rotated).

    Norm, queries, keys and values, rotation, causal attention, projection, residual (Orion 2026, section 8).
    """
    b = builder("llama.attention", store)
    hidden, k, v = _attention(b, config, layer, b.input("x", Type((length, config.width))))
    b.output(hidden, k, v)
    return b.graph()


def feed_forward(config: Config, layer: int, length: int, *, store: Store | None = None) -> Graph:
    """One feed-forward block: x [S, d] -> x + down(silu(gate n) * up n), n = norm(x). Program B of a decode step."""
    b = builder("llama.feed_forward", store)
    b.output(_feed_forward(b, config, layer, b.input("x", Type((length, config.width)))))
    return b.graph()


def project(config: Config, layer: int, length: int, *, store: Store | None = None) -> Graph:
    """Program A of a decode step: x [S, d] -> q [S, H D], k and v [S, G D], none of them rotated yet."""
    b = builder("llama.project", store)
    b.output(*_project(b, config, layer, b.input("x", Type((length, config.width)))))
    return b.graph()


def attend(config: Config, layer: int, context: int, length: int = 1, *, store: Store | None = None) -> Graph:
    """What is between programs A and B: x [S, d], q, k, v as `project` gives them, position int64 [1] -> hidden [S, d].

    Rotates, writes the cache (its states), attends, projects, adds the residual.
    """
    c = config
    b = builder("llama.attend", store)
    widths = {"x": c.width, "q": c.heads * c.head_width, "k": c.kv_heads * c.head_width, "v": c.kv_heads * c.head_width}
    x, q, k, v = (b.input(name, Type((length, n))) for name, n in widths.items())
    position = position_input(b)
    tables = _tables(b, c, context, length, position)
    b.output(_attend(b, c, layer, x, (q, k, v), position, tables, context))
    return b.graph()


def head(config: Config, length: int = 1, *, store: Store | None = None) -> Graph:
    """The end: x [S, d] -> logits [S, V] of the final norm."""
    b = builder("llama.head", store)
    x = b.input("x", Type((length, config.width)))
    b.output(_head(b, config, x, _table(b, config) if config.tied else None))
    return b.graph()


def angles(config: Config, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Cosine and sine [length, D/2] of position * base^(-2i/D) (Su et al. 2021, eq. 15)."""
    speeds = config.rope_base ** (-np.arange(0, config.head_width, 2) / config.head_width)
    turned = np.arange(length)[:, None] * speeds
    return np.cos(turned).astype(np.float32), np.sin(turned).astype(np.float32)


def _table(b: Builder, c: Config) -> Value:
    return b.param("embed.weight", (c.vocabulary, c.width), init=SMALL)


def _linear(b: Builder, name: str, x: Value, out: int, init: Init = SMALL) -> Value:
    return b(Linear(), x, b.param(f"{name}.weight", (out, x.shape[-1]), init=init), name=name)


def _norm(b: Builder, c: Config, name: str, x: Value) -> Value:
    return b(RMSNorm(c.epsilon), x, b.param(f"{name}.weight", (c.width,), init=ONES), name=name)


def _project(b: Builder, c: Config, layer: int, x: Value) -> tuple[Value, Value, Value]:
    with b.scope(f"layers.{layer}"):
        n = _norm(b, c, "attention_norm", x)
        q = _linear(b, "q", n, c.heads * c.head_width)
        return q, *(_linear(b, name, n, c.kv_heads * c.head_width) for name in ("k", "v"))  # type: ignore[return-value]


def _tables(b: Builder, c: Config, context: int, length: int, position: Value) -> tuple[Value, Value]:
    """Rows of the rotation tables for `length` positions from `position` on."""
    rows = places(b, length, position)
    cosine, sine = angles(c, context)
    return b(Gather(), b.constant(cosine, "rope.cosine"), rows), b(Gather(), b.constant(sine, "rope.sine"), rows)


def _attention(b: Builder, c: Config, layer: int, x: Value) -> tuple[Value, Value, Value]:
    q, k, v = _project(b, c, layer, x)
    cosine, sine = (b.constant(t, n) for t, n in zip(angles(c, x.shape[0]), ("rope.cosine", "rope.sine")))
    with b.scope(f"layers.{layer}"):
        turned = b(Rope(), heads(b, k, c.kv_heads), cosine, sine, name="k_rotated")
        query = b(Rope(), heads(b, q, c.heads), cosine, sine, name="q_rotated")
        y = b(CausalAttention(), query, turned, heads(b, v, c.kv_heads), name="attended")
        o = _linear(b, "o", flat(b, y), c.width, residual(c.layers))
        return b(Add(), x, o, name="hidden"), flat(b, turned), v


def _attend(
    b: Builder, c: Config, layer: int, x: Value, qkv: tuple[Value, ...], position: Value,
    tables: tuple[Value, Value], context: int,
) -> Value:  # fmt: skip
    q, k, v = qkv
    with b.scope(f"layers.{layer}"):
        key = b(Rope(), heads(b, k, c.kv_heads), *tables, name="k_rotated")
        query = b(Rope(), heads(b, q, c.heads), *tables, name="q_rotated")
        y = cached_attention(b, query, key, heads(b, v, c.kv_heads), position, context)
        return b(Add(), x, _linear(b, "o", flat(b, y), c.width, residual(c.layers)), name="hidden")


def _feed_forward(b: Builder, c: Config, layer: int, x: Value) -> Value:
    with b.scope(f"layers.{layer}"):
        n = _norm(b, c, "ffn_norm", x)
        gate, up = _linear(b, "gate", n, c.hidden), _linear(b, "up", n, c.hidden)
        y = _linear(b, "down", b(Mul(), b(Silu(), gate), up, name="gated"), c.width, residual(c.layers))
        return b(Add(), x, y, name="out")


def _head(b: Builder, c: Config, x: Value, table: Value | None) -> Value:
    n = _norm(b, c, "norm", x)
    return b(Linear(), n, table, name="head") if c.tied else _linear(b, "head", n, c.vocabulary)
