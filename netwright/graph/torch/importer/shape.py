"""Moving data: views, permutations, joins, cuts, padding."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...graph import Value
from ...ops.common import scalar
from ...ops.compare import Where
from ...ops.index import Gather
from ...ops.shape import TO_END, Concat, Expand, Pad, Reshape, Slice, Split, Transpose
from .importer import Import, imports

VIEWS = (
    "view", "reshape", "_unsafe_view", "view_copy", "flatten", "unflatten", "squeeze", "unsqueeze", "squeeze_copy",
    "unsqueeze_copy", "_reshape_alias", "ravel", "view_as", "reshape_as",
)  # fmt: skip


@imports(*VIEWS)
def view(im: Import, a: Any) -> Value:
    """Another shape, the one that torch worked out."""
    x = im.value(a.self)
    if x.dtype != im.dtype:
        im.refuse(f"{x.dtype} seen as {im.dtype}", "convert with .to() instead of .view(dtype)")
    return im.reshape(x, im.shape)


def permuted(im: Import, x: Value, order: tuple[int, ...]) -> Value:
    """Axes in another order, or x itself where that changes nothing."""
    return x if order == tuple(range(len(order))) else im.b(Transpose(order), x)


@imports(
    "permute", "permute_copy", "transpose", "transpose_copy", "swapaxes", "swapdims", "t", "numpy_T", "mT", "adjoint",
)  # fmt: skip
def permute(im: Import, a: Any) -> Value:
    """Axes in another order."""
    x = im.value(a.self)
    rank = len(x.shape)
    order = list(range(rank))
    if hasattr(a, "dims"):
        order = [d % rank for d in a.dims]
    elif im.op in ("t", "numpy_T"):
        order.reverse()
    elif rank:
        i, j = getattr(a, "dim0", getattr(a, "axis0", -2)), getattr(a, "dim1", getattr(a, "axis1", -1))
        order[i], order[j] = order[j], order[i]
    return permuted(im, x, tuple(order))


@imports("movedim", "moveaxis")
def movedim(im: Import, a: Any) -> Value:
    """Axes taken out and put in elsewhere."""
    x = im.value(a.self)
    rank = len(x.shape)
    source = [d % rank for d in (a.source if isinstance(a.source, list) else [a.source])]
    target = [d % rank for d in (a.destination if isinstance(a.destination, list) else [a.destination])]
    order = [i for i in range(rank) if i not in source]
    for to, origin in sorted(zip(target, source, strict=True)):
        order.insert(to, origin)
    return permuted(im, x, tuple(order))


@imports("expand", "expand_as", "broadcast_to", "expand_copy")
def expand(im: Import, a: Any) -> Value:
    """Broadcast; a leading 1 stays open."""
    x = im.value(a.self)
    return x if x.shape == im.shape else im.b(Expand(im.shape), x)


@imports("repeat", "tile")
def repeat(im: Import, a: Any) -> Value:
    """Each axis several times over: [n] -> [r, n] -> [r n]."""
    x = im.value(a.self)
    times = list(getattr(a, "repeats", getattr(a, "dims", ())))
    rank = max(len(times), len(x.shape))
    times = [1] * (rank - len(times)) + times
    shape = (1,) * (rank - len(x.shape)) + x.shape
    if all(r == 1 for r in times):
        return im.reshape(x, shape)
    x = im.b(Reshape(tuple(n for pair in zip((1,) * rank, shape) for n in pair)), x)
    x = im.b(Expand(tuple(n for pair in zip(times, shape) for n in pair)), x)
    return im.reshape(x, im.shape)


@imports("cat", "concat", "concatenate")
def concat(im: Import, a: Any) -> Value:
    """Joined along an axis; empty one-dimensional tensors are left out, as torch does."""
    values = [im.value(x, im.dtype) for x in a.tensors]
    values = [v for v in values if v.shape != (0,) or len(im.shape) == 1]
    return values[0] if len(values) == 1 else im.b(Concat(a.dim), *values)


@imports("stack")
def stack(im: Import, a: Any) -> Value:
    """Joined along a new axis."""
    axis = a.dim % len(im.shape)
    values = [im.value(x, im.dtype) for x in a.tensors]
    return im.b(Concat(axis), *(im.reshape(v, (*v.shape[:axis], 1, *v.shape[axis:])) for v in values))


@imports(
    "split", "split_with_sizes", "chunk", "tensor_split", "unsafe_split", "unsafe_chunk", "unsafe_split_with_sizes",
    "split_copy", "split_with_sizes_copy",
)  # fmt: skip
def split(im: Import, a: Any) -> Any:
    """Pieces of the sizes that torch worked out."""
    axis = a.dim % len(im.shape)
    made = im.b(Split(axis, tuple(t.shape[axis] for t in im.results)), im.value(a.self))
    return made if isinstance(made, tuple) else (made,)


@imports("unbind")
def unbind(im: Import, a: Any) -> tuple[Value, ...]:
    """Pieces of one, without the axis."""
    x = im.value(a.self)
    axis = a.dim % len(x.shape)
    made = im.b(Split(axis, (1,) * x.shape[axis]), x)
    pieces = made if isinstance(made, tuple) else (made,)
    return tuple(im.reshape(v, (*v.shape[:axis], *v.shape[axis + 1 :])) for v in pieces)


def cut(im: Import, x: Value, axis: int, start: int, end: int, step: int = 1) -> Value:
    """x[start:end:step] along one axis; the others stay whole."""
    rank, size = len(x.shape), x.shape[axis]
    if (start, end, step) == (0, size, 1):
        return x
    starts = tuple(start if i == axis else 0 for i in range(rank))
    ends = tuple(end if i == axis else TO_END if i == 0 or n == 1 else n for i, n in enumerate(x.shape))
    steps = () if step == 1 else tuple(step if i == axis else 1 for i in range(rank))
    return im.b(Slice(starts, ends, steps), x)


def bounds(start: Any, end: Any, size: int) -> tuple[int, int]:
    """A slice's ends as Python clips them."""
    first, last, _ = slice(start, end).indices(size)
    return first, max(first, last)


@imports("slice", "slice_copy", "narrow", "narrow_copy")
def narrow(im: Import, a: Any) -> Value:
    """A piece of one axis."""
    x = im.value(a.self)
    axis = a.dim % len(x.shape)
    if im.op.startswith("narrow"):
        start = a.start % x.shape[axis]
        return cut(im, x, axis, start, start + a.length)
    return cut(im, x, axis, *bounds(a.start, a.end, x.shape[axis]), a.step)


@imports("select", "select_copy")
def select(im: Import, a: Any) -> Value:
    """One place of an axis, without the axis."""
    x = im.value(a.self)
    axis = a.dim % len(x.shape)
    at = a.index % x.shape[axis]
    return im.reshape(cut(im, x, axis, at, at + 1), im.shape)


def replaced(im: Import, x: Value, axis: int, start: int, end: int, piece: Value) -> Value:
    """x with x[start:end] along an axis replaced."""
    before, after = cut(im, x, axis, 0, start), cut(im, x, axis, end, x.shape[axis])
    parts = [v for v in (before if start else None, piece, after if end < x.shape[axis] else None) if v is not None]
    return parts[0] if len(parts) == 1 else im.b(Concat(axis), *parts)


@imports("slice_scatter", "select_scatter")
def scatter(im: Import, a: Any) -> Value:
    """Assignment to a slice: what is before, the new piece, what is after."""
    x, piece = im.value(a.self), im.value(a.src, im.dtype)
    axis = a.dim % len(x.shape)
    if im.op == "select_scatter":
        start = a.index % x.shape[axis]
        return replaced(im, x, axis, start, start + 1, im.reshape(piece, (*x.shape[:axis], 1, *x.shape[axis + 1 :])))
    if a.step != 1:
        im.refuse("assignment to every other element", "use torch.where with a mask")
    return replaced(im, x, axis, *bounds(a.start, a.end, x.shape[axis]), piece)


_MODES = {"reflection": "reflect", "replication": "replicate"}


@imports(
    "pad", "constant_pad_nd", "reflection_pad1d", "reflection_pad2d", "replication_pad1d", "replication_pad2d",
)  # fmt: skip
def pad(im: Import, a: Any) -> Value:
    """Constant, reflecting or repeating the edge; negative sizes cut."""
    x = im.value(a.self)
    sizes = list(getattr(a, "pad", None) or getattr(a, "padding", None) or ())
    asked = getattr(a, "mode", im.op.partition("_")[0])
    if asked == "circular":
        return _circular(im, x, sizes)
    mode = {"constant": "constant", "reflect": "reflect", "replicate": "edge"}.get(_MODES.get(asked, asked))
    if mode is None:
        im.refuse(f"padding in {a.mode} mode", "use constant, reflect, replicate or circular")
    rank = len(x.shape)
    begins, ends = [0] * rank, [0] * rank
    for i in range(len(sizes) // 2):
        begins[rank - 1 - i], ends[rank - 1 - i] = sizes[2 * i], sizes[2 * i + 1]
    for axis in range(rank):
        x = cut(im, x, axis, max(0, -begins[axis]), x.shape[axis] - max(0, -ends[axis]))
    pads = tuple(max(0, n) for n in (*begins, *ends))
    if not any(pads):
        return x
    fill = getattr(a, "value", None) or 0.0
    return im.b(Pad(pads, mode, float(fill) if mode == "constant" else 0.0), x)


def _circular(im: Import, x: Value, sizes: list[int]) -> Value:
    """The end before the beginning, the beginning behind the end."""
    for i in range(len(sizes) // 2):
        axis, (before, after) = len(x.shape) - 1 - i, sizes[2 * i : 2 * i + 2]
        n = x.shape[axis]
        parts = [cut(im, x, axis, n - before, n)] if before else []
        parts += [x, cut(im, x, axis, 0, after)] if after else [x]
        x = im.b(Concat(axis), *parts)
    return x


@imports("pixel_shuffle", "pixel_unshuffle")
def pixel_shuffle(im: Import, a: Any) -> Value:
    """[.., C r r, H, W] <-> [.., C, H r, W r] (Shi et al. 2016)."""
    x = im.value(a.self)
    lead, (channels, height, width) = x.shape[:-3], x.shape[-3:]
    n = len(lead)
    if im.op == "pixel_shuffle":
        r = a.upscale_factor
        x = im.reshape(x, (*lead, channels // (r * r), r, r, height, width))
        order = (n, n + 3, n + 1, n + 4, n + 2)
    else:
        r = a.downscale_factor
        x = im.reshape(x, (*lead, channels, height // r, r, width // r, r))
        order = (n, n + 2, n + 4, n + 1, n + 3)
    return im.reshape(im.b(Transpose((*range(n), *order)), x), im.shape)


@imports("channel_shuffle", "native_channel_shuffle")
def channel_shuffle(im: Import, a: Any) -> Value:
    """[N, g c, ..] -> [N, c g, ..]."""
    x = im.value(a.self)
    rest = x.shape[2:]
    x = im.reshape(x, (x.shape[0], a.groups, x.shape[1] // a.groups, math.prod(rest)))
    return im.reshape(im.b(Transpose((0, 2, 1, 3)), x), im.shape)


@imports("roll")
def roll(im: Import, a: Any) -> Value:
    """The end comes first; without axes the flat tensor is rolled."""
    x = im.value(a.self)
    if not a.dims:
        x = im.reshape(x, (x.type.size,))
    for shift, dim in zip(a.shifts, a.dims or [0], strict=True):
        axis, size = dim % len(x.shape), x.shape[dim]
        at = -shift % size
        if at:
            x = im.b(Concat(axis), cut(im, x, axis, at, size), cut(im, x, axis, 0, at))
    return im.reshape(x, im.shape)


@imports("flip")
def flip(im: Import, a: Any) -> Value:
    """Rows gathered from last to first."""
    x = im.value(a.self)
    for axis in a.dims:
        x = im.b(Gather(axis % len(x.shape)), x, im.b.constant(np.arange(x.shape[axis])[::-1].astype(np.int64), "rows"))
    return x


@imports("tril", "triu")
def triangle(im: Import, a: Any) -> Value:
    """Times a triangle of ones; what is outside becomes 0 even where it was infinite."""
    x = im.value(a.self)
    ones = np.ones(x.shape[-2:], bool)
    mask = np.tril(ones, a.diagonal) if im.op == "tril" else np.triu(ones, a.diagonal)
    return im.b(Where(), im.b.constant(mask, "triangle"), x, scalar(im.b, 0, x))
