"""BERT-like encoders whose layers differ (FlexiBERT, Tuli et al. 2022; its benchmark, Serianni and Kalita 2023).

A layer mixes tokens by self-attention (SA: by scaled dot products, SDP, or with a matrix between queries and keys,
WMA), by a linear transform (LT: the real part of a Fourier transform, DFT, or a cosine transform, DCT, over tokens and
a head's features), or by dynamic span convolution (DSC: kernel 5 or 9, Jiang et al. 2020, section 3.2, on half of the
heads, the other half attend); 1 or 3 feed-forward layers follow. Around them is ELECTRA-small: 30,522 tokens, an
embedding of 128 with 512 positions and 2 token types, projected to the hidden size.

`parse` reads the benchmark's nas_config, `network` makes it a Graph, `recipe` is a candidate's. Networks are those that
the benchmark's scores were computed on: a linear transform has neither a projection nor a residual. All of those were
256 wide with feed-forward layers of 1,024, whatever the nas_config says, as the recorded numbers of parameters show:
`as_scored` is that. Dropout is left out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from math import pi
from typing import Any

import numpy as np

from netwright.errors import UserError, nearest
from netwright.graph import Builder, Graph, Init, Type, Value
from netwright.graph.ops.activation import Gelu
from netwright.graph.ops.attention import Attention
from netwright.graph.ops.binary import Add, Mul, Sub
from netwright.graph.ops.conv import Conv
from netwright.graph.ops.index import Gather
from netwright.graph.ops.linear import Linear, Matmul
from netwright.graph.ops.norm import LayerNorm
from netwright.graph.ops.shape import TO_END, Concat, Pad, Reshape, Slice, Transpose
from netwright.graph.ops.softmax import Softmax
from netwright.spaces.space import Build, Space
from netwright.spaces.vocabulary import Choice, OneOf, Repeat

OPERATIONS: dict[str, tuple[Any, ...]] = {"SA": ("SDP", "WMA"), "LT": ("DFT", "DCT"), "DSC": (5, 9)}
KEYS = ("operation_type", "operation_parameter", "num_operation_heads", "feed_forward_dimension", "num_feed_forward")
SMALL, ZERO, ONE = Init("normal", 0.02), Init("constant", 0.0), Init("constant", 1.0)
EPSILON = 1e-12
RECIPE = {"rate": 5e-4, "decay": 0.01, "warmup": 0.1}


@dataclass(frozen=True)
class Layer:
    """One encoder layer: how it mixes tokens, in how many heads, and `stacks` feed-forward layers of a width."""

    operation: str
    parameter: str | int
    heads: int
    feed_forward: int
    stacks: int


@dataclass(frozen=True)
class Recipe:
    """An encoder: its hidden size and its layers. `nas_config` is how the benchmark writes the layers."""

    hidden: int
    layers: tuple[Layer, ...]

    @property
    def nas_config(self) -> dict[str, Any]:
        """{"encoder_layers": [{"operation_type": ..., ...}, ...]}."""
        rows = [(x.operation, x.parameter, x.heads, x.feed_forward, x.stacks) for x in self.layers]
        return {"encoder_layers": [dict(zip(KEYS, row, strict=True)) for row in rows]}


def parse(text: str | Mapping[str, Any], hidden: int) -> Recipe:
    """An encoder from its nas_config, JSON or a mapping, and its hidden size. UserError for anything else."""
    try:
        given = json.loads(text) if isinstance(text, str) else text
    except json.JSONDecodeError as error:
        raise UserError(f"a nas_config is a JSON object of encoder layers: {error}") from None
    rows = given.get("encoder_layers") if isinstance(given, Mapping) else None
    if not isinstance(rows, list) or not rows:
        raise UserError('a nas_config is {"encoder_layers": [one object a layer, ...]}')
    if not _whole(hidden):
        raise UserError(f"the hidden size is a whole number of at least 1, not {hidden!r}")
    return Recipe(int(hidden), tuple(_layer(row, place, int(hidden)) for place, row in enumerate(rows)))


def _layer(row: Any, place: int, hidden: int) -> Layer:
    where = f"encoder layer {place}"
    if not isinstance(row, Mapping):
        raise UserError(f"{where} is an object, not {row!r}")
    if missing := [key for key in KEYS if key not in row]:
        raise UserError(f'{where} has no "{missing[0]}"')
    operation, parameter, heads, feed_forward, stacks = (row[key] for key in KEYS)
    if operation not in OPERATIONS:
        raise UserError(f'{where}: there is no operation "{operation}" {nearest(str(operation), list(OPERATIONS))}')
    span = operation == "DSC"
    if not (_whole(parameter) and parameter % 2) if span else parameter not in OPERATIONS[operation]:
        known = "an odd kernel" if span else " or ".join(OPERATIONS[operation])
        raise UserError(f"{where}: the parameter of {operation} is {known}, not {parameter!r}")
    for key in KEYS[2:]:
        if not _whole(row[key]):
            raise UserError(f'{where}: "{key}" is a whole number of at least 1, not {row[key]!r}')
    if hidden % heads or (span and heads % 2):
        halves = ", half of which attend" if span else ""
        raise UserError(f"{where}: a hidden size of {hidden} cannot be shared by {heads} heads{halves}")
    return Layer(operation, parameter, heads, feed_forward, stacks)


def _whole(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool) and int(value) >= 1


def as_scored(given: Recipe) -> Recipe:
    """The network that the benchmark's scores and numbers of parameters are of: 256 wide, feed-forward layers of
    1,024 (the defaults of its configuration class; its nas_config and hidden size are those of the trained one)."""
    return Recipe(256, tuple(replace(layer, feed_forward=1024) for layer in given.layers))


def network(given: Recipe, tokens: int = 128, classes: int | None = None, vocabulary: int = 30_522,
            embedding: int = 128, positions: int = 512, dtype: str = "int64") -> Graph:
    """token numbers of that type [1, T] -> hidden states [1, T, hidden], or with `classes` logits [1, classes].

    Logits are made of the first token, as ELECTRA's are. UserError for more tokens than positions.
    """
    if not 1 <= tokens <= positions:
        raise UserError(f"{tokens} tokens: a network of {positions} positions takes 1 to {positions}")
    b = Builder("flexibert")
    v = _embedded(b, b.input("tokens", Type((1, tokens), dtype)), vocabulary, embedding, positions)
    if embedding != given.hidden:
        v = _linear(b, v, given.hidden, "embeddings_project")
    waves = _Waves(b)
    for place, layer in enumerate(given.layers):
        with b.scope(f"layer{place}"):
            v = _feed_forward(b, _mixed(b, v, layer, waves), layer)
    if classes is not None:
        first = b(Slice((0, 0, 0), (TO_END, 1, given.hidden)), v)
        with b.scope("classifier"):
            v = b(Gelu(), _linear(b, b(Reshape((0, given.hidden)), first, name="first"), given.hidden, "dense"))
            v = _linear(b, v, classes, "out")
    b.output(v)
    return b.graph()


def _embedded(b: Builder, tokens: Value, vocabulary: int, width: int, positions: int) -> Value:
    with b.scope("embeddings"):
        words, places, kinds = (b.param(name, (rows, width), init=SMALL) for name, rows in
                                (("word", vocabulary), ("position", positions), ("token_type", 2)))  # fmt: skip
        v = b(Add(), b(Gather(), words, tokens), b(Gather(), kinds, b.constant(np.zeros(1, np.int64), "first_kind")))
        v = b(Add(), v, b(Slice((0, 0), (tokens.shape[1], width)), places), name="positioned")
        return _norm(b, v)


def _linear(b: Builder, x: Value, width: int, name: str, bias: bool = True) -> Value:
    with b.scope(name):
        weight = b.param("weight", (width, x.shape[-1]), init=SMALL)
        added = [b.param("bias", (width,), init=ZERO)] if bias else []
    return b(Linear(), x, weight, *added, name=name)


def _norm(b: Builder, x: Value) -> Value:
    with b.scope("norm"):
        scale, bias = b.param("scale", x.shape[-1:], init=ONE), b.param("bias", x.shape[-1:], init=ZERO)
    return b(LayerNorm(EPSILON), x, scale, bias, name="norm")


def _mixed(b: Builder, x: Value, layer: Layer, waves: _Waves) -> Value:
    """[N, T, hidden] -> the same: what tokens say to each other."""
    with b.scope("attention"):
        if layer.operation == "LT":
            return _transform(b, x, layer, waves)
        y = _span_convolution(b, x, layer) if layer.operation == "DSC" else _self_attention(b, x, layer)
        return _norm(b, b(Add(), _linear(b, y, x.shape[-1], "project"), x, name="add"))


def _heads(b: Builder, x: Value, heads: int) -> Value:
    """[N, T, C] -> [N, heads, T, C / heads]."""
    _, tokens, width = x.shape
    return b(Transpose((0, 2, 1, 3)), b(Reshape((0, tokens, heads, width // heads)), x))


def _flat(b: Builder, x: Value) -> Value:
    """[N, T, heads, D] -> [N, T, heads * D]."""
    _, tokens, heads, width = x.shape
    return b(Reshape((0, tokens, heads * width)), x)


def _self_attention(b: Builder, x: Value, layer: Layer) -> Value:
    query, key, value = (_linear(b, x, x.shape[-1], name) for name in ("query", "key", "value"))
    if layer.parameter == "WMA":
        query = _linear(b, query, x.shape[-1], "weighted", bias=False)
    q, k, v = (_heads(b, part, layer.heads) for part in (query, key, value))
    return _flat(b, b(Transpose((0, 2, 1, 3)), b(Attention(), q, k, v, name="attended")))


def _transform(b: Builder, x: Value, layer: Layer, waves: _Waves) -> Value:
    """Both transforms are unnormalised; both run over tokens and over the features of a head."""
    v = _heads(b, _linear(b, x, x.shape[-1], "input"), layer.heads)
    _, _, tokens, width = v.shape
    if layer.parameter == "DFT":  # the real part of (C - iS) V (C - iS)'
        even, odd = (b(Matmul(), waves(kind, tokens), b(Matmul(), v, waves(kind, width))) for kind in ("cos", "sin"))
        v = b(Sub(), even, odd, name="transformed")
    else:
        v = b(Matmul(), waves("dct", tokens), b(Matmul(), v, waves("dct", width, turned=True)), name="transformed")
    return _flat(b, b(Transpose((0, 2, 1, 3)), v))


class _Waves:
    """Matrices of the transforms, each one constant of the graph. cos and sin [k, n]: of 2 pi k n / N; dct [k, n]:
    2 cos(pi k (2 n + 1) / 2 N)."""

    def __init__(self, b: Builder) -> None:
        self.b = b
        self.made: dict[tuple[str, int, bool], Value] = {}

    def __call__(self, kind: str, size: int, turned: bool = False) -> Value:
        if (kind, size, turned) not in self.made:
            k, n = np.arange(size, dtype=np.float64)[:, None], np.arange(size, dtype=np.float64)
            if kind == "dct":
                matrix = 2 * np.cos(pi * (k * (2 * n + 1) % (4 * size)) / (2 * size))
            else:
                angle = 2 * pi * (k * n % size) / size
                matrix = np.cos(angle) if kind == "cos" else np.sin(angle)
            matrix = np.ascontiguousarray(matrix.T if turned else matrix, np.float32)
            self.made[kind, size, turned] = self.b.constant(matrix, f"{kind}{size}{'t' if turned else ''}")
        return self.made[kind, size, turned]


def _span_convolution(b: Builder, x: Value, layer: Layer) -> Value:
    """Half of the heads attend; as many are convolutions, whose kernels are made of queries and of keys' neighbours."""
    _, tokens, hidden = x.shape
    heads, kernel, reach = layer.heads // 2, int(layer.parameter), int(layer.parameter) // 2
    query, key, value = (_linear(b, x, hidden // 2, name) for name in ("query", "key", "value"))
    q, k, v = (_heads(b, part, heads) for part in (query, key, value))
    attended = b(Transpose((0, 2, 1, 3)), b(Attention(), q, k, v, name="attended"))  # [N, T, heads, D]

    depthwise = b.param("span.depthwise", (hidden, 1, kernel), init=SMALL)
    pointwise = b.param("span.pointwise", (hidden // 2, hidden, 1), init=SMALL)
    near = b(Conv(padding=(reach, reach), groups=hidden), b(Transpose((0, 2, 1)), x), depthwise)
    near = b(Conv(), near, pointwise, b.param("span.bias", (hidden // 2,), init=ZERO), name="span")
    made = _linear(b, b(Mul(), b(Transpose((0, 2, 1)), near), query), heads * kernel, "kernel")
    taps = b(Softmax(-1), b(Reshape((0, tokens, heads, 1, kernel)), made), name="taps")

    point = b(Pad((0, reach, 0, 0, reach, 0)), _linear(b, x, hidden // 2, "point"))
    windows = b.constant(np.arange(tokens)[:, None] + np.arange(kernel), "windows", "int64")
    spans = b(Reshape((0, tokens, kernel, heads, hidden // layer.heads)), b(Gather(1), point, windows))
    y = b(Matmul(), taps, b(Transpose((0, 1, 3, 2, 4)), spans))  # [N, T, heads, 1, D]
    y = b(Reshape((0, tokens, heads, hidden // layer.heads)), y, name="convolved")
    return _flat(b, b(Concat(2), attended, y))


def _feed_forward(b: Builder, x: Value, layer: Layer) -> Value:
    v = x
    with b.scope("feed_forward"):
        for place in range(layer.stacks):
            v = b(Gelu(), _linear(b, v, layer.feed_forward, f"dense{place}"), name="gelu")
        return _norm(b, b(Add(), _linear(b, v, x.shape[-1], "project"), x, name="add"))


def space(hidden: tuple[int, ...] = (128, 256), layers: tuple[int, ...] = (2, 4), heads: tuple[int, ...] = (2, 4),
          feed_forward: tuple[int, ...] = (512, 1024), stacks: tuple[int, ...] = (1, 3), vocabulary: int = 30_522,
          embedding: int = 128, positions: int = 512) -> Space:
    """The benchmark's space, 10,621,440 encoders, or one of other sizes. ValueError for heads that cannot share a
    hidden size, or that are odd (dynamic span convolution is half of them)."""
    if odd := [(h, n) for h in hidden for n in heads if h % n or n % 2]:
        raise ValueError(f"a hidden size of {odd[0][0]} cannot be shared by {odd[0][1]} heads, half of which attend")
    mixing = {name: {"parameter": Choice(values)} for name, values in OPERATIONS.items()}
    layer = {"operation": OneOf(mixing), "heads": Choice(heads), "feed_forward": Choice(feed_forward),
             "stacks": Choice(stacks)}
    tree = {"hidden": Choice(hidden), "layers": Repeat(layer, counts=layers)}
    about = "FlexiBERT: encoders of text that mix tokens by attention, transforms or convolution"
    return Space("flexibert", tree, partial(build, vocabulary, embedding, positions), about=about, scales=("hidden",))


def recipe(structure: Any) -> Recipe:
    """The candidate's encoder."""
    return Recipe(structure["hidden"], tuple(
        Layer(x["operation"].name, x["operation"].value["parameter"], x["heads"], x["feed_forward"], x["stacks"])
        for x in structure["layers"]))  # fmt: skip


def build(vocabulary: int, embedding: int, positions: int, structure: Any, x: Type, y: Type) -> Build:
    """x: token numbers [1, T], y: logits [1, K] -> a classifier of token sequences."""
    if len(x.shape) != 2 or not x.dtype.startswith("int") or len(y.shape) != 2:
        raise ValueError(f'the space "flexibert" needs token numbers [1, T] and logits [1, K], not {x}, {y}')
    graph = network(recipe(structure), x.shape[1], y.shape[-1], vocabulary, embedding, positions, x.dtype)
    return Build(graph, dict(RECIPE))
