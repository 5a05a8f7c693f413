"""What several ops share: scalars, undoing a broadcast, checks."""

from __future__ import annotations

from typing import Any

from ..builder import Builder
from ..graph import Value
from ..types import FLOATS, Type


def scalar(b: Builder, number: float, like: Value) -> Value:
    """A constant of `like`'s dtype that broadcasts against it."""
    return b.constant(number, f"c{number:g}".replace("-", "m").replace("+", ""), like.dtype)


def unbroadcast(b: Builder, grad: Value, type: Type) -> Value:
    """Sum a gradient over the axes along which its operand was broadcast."""
    from .reduce import ReduceSum
    from .shape import Reshape

    if grad.shape == type.shape:
        return grad
    extra = len(grad.shape) - len(type.shape)
    axes = tuple(range(extra)) + tuple(
        i + extra for i, n in enumerate(type.shape) if n == 1 and grad.shape[i + extra] != 1
    )
    summed = b(ReduceSum(axes=axes, keepdims=True), grad) if axes else grad
    return summed if summed.shape == type.shape else b(Reshape(shape=type.shape), summed)


def need_float(x: Type, op: str) -> None:
    """Raise ValueError unless `x` is floating point."""
    if x.dtype not in FLOATS:
        raise ValueError(f"{op} needs a floating-point input, got {x.dtype}")


def need_same_dtype(op: str, *types: Type | None) -> None:
    """Raise ValueError unless all present operands share one dtype."""
    dtypes = {t.dtype for t in types if t is not None}
    if len(dtypes) > 1:
        raise ValueError(f"{op} needs operands of one dtype, got {' and '.join(sorted(dtypes))}")


def axis_of(axis: int, rank: int, op: str) -> int:
    """`axis` counted from the front. Raises ValueError when out of range."""
    if not -rank <= axis < rank:
        raise ValueError(f"{op}: axis {axis} of a rank-{rank} tensor")
    return axis % rank


def torch_module() -> Any:
    """torch, imported when first used."""
    import torch

    return torch
