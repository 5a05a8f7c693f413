"""Reading by index."""

from __future__ import annotations

from typing import Any

import torch

from ...graph import Value
from ...ops.binary import Add, Mul
from ...ops.common import scalar
from ...ops.compare import Less, Where
from ...ops.index import Gather, GatherElements
from ...ops.shape import Expand
from .importer import Import, imports
from .shape import permuted


@imports("index_select")
def index_select(im: Import, a: Any) -> Value:
    """Whole rows."""
    x = im.value(a.self)
    return im.b(Gather(a.dim % len(x.shape)), x, im.value(a.index))


@imports("gather")
def gather(im: Import, a: Any) -> Value:
    """Element by element along an axis."""
    return im.b(GatherElements(a.dim), im.value(a.self), im.value(a.index))


@imports("take_along_dim")
def take_along(im: Import, a: Any) -> Value:
    """The same, broadcast along the other axes."""
    if a.dim is None:
        im.refuse("take_along_dim without an axis", "name the axis")
    x, where, axis = im.value(a.self), im.value(a.indices), a.dim % len(im.shape)
    shape = (*im.shape[:axis], x.shape[axis], *im.shape[axis + 1 :])
    x = x if x.shape == shape else im.b(Expand(shape), x)
    return im.b(GatherElements(axis), x, where if where.shape == im.shape else im.b(Expand(im.shape), where))


@imports("index", "_unsafe_index")
def index(im: Import, a: Any) -> Value:
    """x[i, :, j]: rows of the indexed axes seen as one (torch's advanced indexing)."""
    x = im.value(a.self)
    indices = [_positions(im, i) for i in a.indices]
    axes = [k for k, i in enumerate(indices) if i is not None]
    given = [indices[k] for k in axes]
    if len(axes) == 1:
        return im.b(Gather(axes[0]), x, im.value(given[0]))
    adjacent = axes == list(range(axes[0], axes[-1] + 1))
    rest = [k for k in range(len(x.shape)) if k not in axes]
    front = rest[: axes[0]] if adjacent else []  # axes that stay before the indexed ones
    sizes = [x.shape[k] for k in axes]
    order = (*front, *axes, *(k for k in rest if k not in front))
    x = permuted(im, x, order)
    at = len(front)
    flat = im.reshape(x, (*x.shape[:at], -1, *x.shape[at + len(axes) :]))
    return im.b(Gather(at), flat, _flat_index(im, given, sizes))


@imports("index_put", "_unsafe_index_put")
def index_put(im: Import, a: Any) -> Value:
    """x[mask] = number, or x[:, rows] = values with constant rows; the last of equal rows wins."""
    x, values = im.value(a.self), im.value(a.values, im.dtype)
    axes = [k for k, i in enumerate(a.indices) if i is not None]
    where = im.value(a.indices[axes[0]])
    if len(axes) > 1 or a.accumulate:
        im.refuse("assignment at several indices", "use torch.where with a mask")
    if where.dtype == "bool":
        if values.type.size > 1:
            im.refuse("assignment of several values to a mask", "use torch.where with a tensor of x's shape")
        rank = len(x.shape) - axes[0] - len(where.shape)
        mask = im.reshape(where, (*where.shape, *[1] * rank))
        return im.b(Where(), mask, im.reshape(values, ()), x)
    rows = im.known(a.indices[axes[0]], "the index of an assignment")
    if rows.dim() != 1:
        im.refuse("assignment at an index of several dimensions", "use one axis a time")
    axis, n = axes[0], x.shape[axes[0]]
    source = torch.full((n,), -1)
    for at, row in enumerate(rows.tolist()):
        source[row % n] = at
    full = (*x.shape[:axis], len(rows), *x.shape[axis + 1 :])
    spread = values if values.shape == full else im.b(Expand(full), values)
    fresh = im.b(Gather(axis), spread, im.value(source.clamp(min=0)))
    mask = im.reshape(im.value(source >= 0), (n, *[1] * (len(x.shape) - axis - 1)))
    return im.b(Where(), mask, fresh, x)


def _positions(im: Import, index: Any) -> Any:
    """An index tensor as whole numbers; a constant mask is the places where it holds."""
    if index is None:
        return None
    if isinstance(index, torch.Tensor) and index.dtype == torch.bool:
        if index.dim() != 1:
            im.refuse("a mask over several axes as an index", "use torch.where, or one index an axis")
        return index.nonzero()[:, 0]
    if not isinstance(index, torch.Tensor) and index.dtype == "bool":
        im.refuse("a mask computed from the inputs as an index", "its size depends on data; use torch.where")
    return index


def _flat_index(im: Import, indices: list[Any], sizes: list[int]) -> Value:
    """Several indices as one into the axes seen as one: ((i * m) + j) * n + k, negatives counted from the end."""
    if all(isinstance(i, torch.Tensor) for i in indices):
        flat = torch.zeros((), dtype=torch.int64)
        for i, n in zip(indices, sizes, strict=True):
            flat = flat * n + i.long() % n
        return im.value(flat)
    b, total = im.b, None
    for given, n in zip(indices, sizes, strict=True):
        i = im.value(given, "int64")
        i = b(Where(), b(Less(), i, scalar(b, 0, i)), b(Add(), i, scalar(b, n, i)), i)
        total = i if total is None else b(Add(), b(Mul(), total, scalar(b, n, i)), i)
    assert total is not None
    return total
