"""What decoders of several families are built from."""

from __future__ import annotations

import numpy as np

from netwright.graph import Builder, Init, Store, Type, Value
from netwright.graph.ops.attention import CausalAttention
from netwright.graph.ops.binary import Add
from netwright.graph.ops.overwrite import Overwrite
from netwright.graph.ops.shape import Reshape, Slice, Transpose

ONES, ZEROS, SMALL = Init("constant", 1.0), Init("constant", 0.0), Init("normal", 0.02)

MOST_LAYERS, LARGEST = 4096, 2**31 - 1  # what comes from a file is bounded before anything is built


def check_sizes(sizes: dict[str, int]) -> None:
    """Raise ValueError for a size below 1 or beyond any network."""
    for name, size in sizes.items():
        if not 1 <= size <= (MOST_LAYERS if name == "layers" else LARGEST):
            raise ValueError(f"a network with {name} {size}")


def builder(name: str, store: Store | None) -> Builder:
    """A builder whose graph sees the tensors of `store` and leaves the store itself as it is."""
    return Builder(name, store.copy() if store is not None else None)


def residual(layers: int) -> Init:
    """Of matrices that add to the residual stream: 0.02 / sqrt(2 layers) (Radford et al. 2019, section 2.3)."""
    return Init("normal", 0.02 / float(np.sqrt(2 * layers)))


def token_input(b: Builder, length: int) -> Value:
    """tokens int64 [S]."""
    return b.input("tokens", Type((length,), "int64"))


def position_input(b: Builder) -> Value:
    """position int64 [1]: where the first of the given tokens stands, from 0."""
    return b.input("position", Type((1,), "int64"))


def places(b: Builder, length: int, position: Value) -> Value:
    """int64 [S]: the positions of `length` tokens from `position` on."""
    return b(Add(), b.constant(np.arange(length, dtype=np.int64), "range"), position) if length > 1 else position


def heads(b: Builder, x: Value, count: int) -> Value:
    """[S, heads D] -> [heads, S, D]."""
    return b(Transpose((1, 0, 2)), b(Reshape((x.shape[0], count, -1)), x))


def flat(b: Builder, x: Value) -> Value:
    """[heads, S, D] -> [S, heads D]."""
    return b(Reshape((x.shape[1], -1)), b(Transpose((1, 0, 2)), x))


def last(b: Builder, x: Value) -> Value:
    """[S, d] -> [1, d], the last row."""
    rows, width = x.shape
    return b(Slice((rows - 1, 0), (rows, width)), x, name="last") if rows > 1 else x


def cached_attention(b: Builder, q: Value, k: Value, v: Value, position: Value, context: int) -> Value:
    """Write k, v [G, T, D] into the states `k_cache`, `v_cache` [G, context, D] and attend with q [H, T, D]."""
    kept = []
    for name, rows in (("k_cache", k), ("v_cache", v)):
        cache = b.state(name, Type((rows.shape[0], context, rows.shape[2])))
        kept.append(b(Overwrite(1), cache, rows, position, name=f"{name}.after"))
        b.update(cache, kept[-1])
    return b(CausalAttention(), q, *kept, position, name="attended")
