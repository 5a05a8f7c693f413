"""What vanishes in a graph: copies, memory layouts, dropout, and casts to what a tensor is already."""

from __future__ import annotations

from typing import Any

import torch

from ...graph import Value
from ...ops.shape import Expand
from .importer import Import, imports


@imports(
    "clone", "contiguous", "detach", "alias", "lift_fresh", "lift_fresh_copy", "lift", "_to_copy", "to", "type_as",
    "_conj", "resolve_conj", "resolve_neg", "positive",
)  # fmt: skip
def copy(im: Import, a: Any) -> Value:
    """The tensor itself, cast where the dtype differs."""
    return im.value(a.self, im.dtype)


@imports("copy")
def assignment(im: Import, a: Any) -> Value:
    """x[...] = y: y in x's dtype and shape."""
    x = im.value(a.src, im.dtype)
    return x if x.shape == im.shape else im.b(Expand(im.shape), x)


@imports("dropout", "native_dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout")
def dropout(im: Import, a: Any) -> Any:
    """Nothing in evaluation. Raises UserError where it is told to drop even then."""
    if a.train and a.p > 0:
        im.refuse("dropout with training=True draws random numbers", "pass training=self.training")
    x = im.value(a.input)
    return (x, None) if im.op == "native_dropout" else x


@imports("_assert_tensor_metadata", "_assert_async", "_assert_scalar", "sym_constrain_range_for_size")
def nothing(im: Import, a: Any) -> None:
    """A check that torch.export has made already."""


@imports(
    "zeros_like", "ones_like", "full_like", "empty_like", "new_zeros", "new_ones", "new_full", "new_empty", "fill",
    "zero",
)  # fmt: skip
def filled(im: Import, a: Any) -> Any:
    """A constant of known shape, whatever the tensor it is like holds."""
    number = 1 if "ones" in im.op else getattr(a, "fill_value", getattr(a, "value", 0))
    if isinstance(number, Value):
        return im.b(Expand(im.shape), im.value(number, im.dtype))
    return torch.full(im.shape, float(number), dtype=getattr(torch, im.dtype))
