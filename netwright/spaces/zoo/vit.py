"""Vision transformers: patches, width, depth, heads, MLP ratio, rank (Dosovitskiy et al. 2021; Liang et al. 2023).

A linear map may be two factors of a lower rank, as in MCUFormer (Liang et al. 2023), which has a third between them.
"""

from __future__ import annotations

from math import ceil
from typing import Any

from netwright.graph import Builder, Init, Type, Value
from netwright.graph.ops.activation import Gelu
from netwright.graph.ops.attention import Attention
from netwright.graph.ops.conv import Conv
from netwright.graph.ops.linear import Linear
from netwright.graph.ops.norm import LayerNorm
from netwright.graph.ops.reduce import ReduceMean
from netwright.graph.ops.shape import Reshape, Transpose
from netwright.spaces import blocks
from netwright.spaces.space import Build, Space
from netwright.spaces.vocabulary import Choice, Repeat

SMALL = Init("normal", 0.02)
RECIPE = {"rate": 2e-3, "decay": 0.05, "warmup": 0.1, "beta2": 0.98}

tree = {
    "patches": Choice((4, 5, 6, 7, 8, 10, 12)),  # along the shorter side
    "width": Choice((24, 32, 48, 64, 96)),
    "rank": Choice((0.25, 0.375, 0.5, 1.0)),  # of the narrower side of a linear map
    "blocks": Repeat({"heads": Choice((1, 2, 4)), "ratio": Choice((1, 2, 3, 4))}, counts=(1, 2, 3, 4)),
}


def build(structure: Any, x: Type, y: Type) -> Build:
    """x [1, C, H, W] or [1, C, L] -> logits [1, K]; patches that stick out at the far edges are filled with zeros."""
    if len(x.shape) < 3:
        raise ValueError(f"a vision transformer needs images or series, not {x}")
    b, v = blocks.start("vit", x)
    width, rank = structure["width"], structure["rank"]
    v = _embedded(b, v, structure["patches"], width)
    for number, block in enumerate(structure["blocks"]):
        with b.scope(f"block{number}"):
            v = encoder_block(b, v, block["heads"], block["ratio"], rank)
    v = b(ReduceMean((1,), False), norm(b, v, "norm"), name="pool")
    return Build(blocks.finish(b, blocks.dense(b, v, y.shape[-1], "classifier")), dict(RECIPE))


def encoder_block(b: Builder, x: Value, heads: int, ratio: int, rank: float = 1.0) -> Value:
    """Tokens [1, N, E] -> [1, N, E]: attention, then an MLP of `ratio` times the width, each behind a norm and added to
    what it read."""
    v = b(blocks.ADD, x, _attention(b, norm(b, x, "norm1"), heads, rank), name="add1")
    return b(blocks.ADD, v, _mlp(b, norm(b, v, "norm2"), ratio, rank), name="add2")


def _embedded(b: Builder, x: Value, patches: int, width: int) -> Value:
    """Tokens [1, N, E]: each patch by one linear map, and what says where it was."""
    sides = x.type.shape[2:]
    p = max(1, ceil(min(sides) / patches))
    missing = tuple(-n % p for n in sides)
    tokens = 1
    for n in sides:
        tokens *= -(-n // p)
    with b.scope("patch"):
        weight = b.param("weight", (width, x.type.shape[1], *(p,) * len(sides)), init=blocks.HE)
        bias = b.param("bias", (width,), init=blocks.ZERO)
        op = Conv((p,) * len(sides), (0,) * len(sides) + missing, (1,) * len(sides), 1)
        v = b(op, x, weight, bias, name="embed")
        v = b(Transpose((0, 2, 1)), b(Reshape((0, width, tokens)), v, name="flat"), name="tokens")
    return b(blocks.ADD, v, b.param("position", (tokens, width), init=SMALL), name="positioned")


def _attention(b: Builder, x: Value, heads: int, rank: float) -> Value:
    """Multi-head self-attention (Vaswani et al. 2017, section 3.2.2)."""
    _, tokens, width = x.type.shape
    split = Reshape((0, tokens, heads, width // heads))
    with b.scope("attention"):
        parts = [_linear(b, x, width, rank, name) for name in ("query", "key", "value")]
        q, k, v = (b(Transpose((0, 2, 1, 3)), b(split, part)) for part in parts)
        y = b(Transpose((0, 2, 1, 3)), b(Attention(), q, k, v, name="attention"))
        return _linear(b, b(Reshape((0, tokens, width)), y), width, rank, "project")


def _mlp(b: Builder, x: Value, ratio: int, rank: float) -> Value:
    width = x.type.shape[-1]
    with b.scope("mlp"):
        y = b(Gelu(), _linear(b, x, ratio * width, rank, "expand"), name="gelu")
        return _linear(b, y, width, rank, "project")


def _linear(b: Builder, x: Value, width: int, rank: float, name: str) -> Value:
    """in -> out, or in -> R -> out where that has fewer weights; the first factor has no bias."""
    given = x.type.shape[-1]
    inner = blocks.rounded(rank * min(given, width), 4)
    with b.scope(name):
        if inner * (given + width) < given * width:
            x = b(Linear(), x, b.param("inner", (inner, given), init=blocks.NARROW), name="inner")
            given = inner
        weight = b.param("weight", (width, given), init=blocks.NARROW)
        return b(Linear(), x, weight, b.param("bias", (width,), init=blocks.ZERO), name=name)


def norm(b: Builder, x: Value, name: str) -> Value:
    """Layer norm over the last axis, with its two parameters."""
    shape = x.type.shape[-1:]
    with b.scope(name):
        scale, bias = b.param("scale", shape, init=blocks.ONE), b.param("bias", shape, init=blocks.ZERO)
    return b(LayerNorm(), x, scale, bias, name=name)


space = Space(
    "vit",
    tree,
    build,
    about="vision transformers: patches of an image as tokens, low-rank linear maps",
    scales=("patches", "width"),
)
