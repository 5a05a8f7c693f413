"""The ops, one small file a family: each function checks a statement's arguments and gives what runs it."""

from __future__ import annotations

from . import (
    activations,
    attention,
    binary,
    compressed,
    conv,
    gather,
    linear,
    logic,
    moves,
    norm,
    pool,
    reduce,
    slices,
    unary,
)

__all__ = [
    "activations",
    "attention",
    "binary",
    "compressed",
    "conv",
    "gather",
    "linear",
    "logic",
    "moves",
    "norm",
    "pool",
    "reduce",
    "slices",
    "unary",
]
