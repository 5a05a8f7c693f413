"""Moving data without computing: slices, padding, repetition, concatenation, splits."""

from __future__ import annotations

import math

import numpy as np

from ...ops.index import Gather
from ...ops.shape import TO_END, Concat, Expand, Pad, Reshape, Slice, Split, Transpose
from .entry import Entry
from .importer import Call, imports


def sliced(n: Call, x: Entry, axis: int, start: int, end: int, step: int = 1) -> Entry:
    """x[start:end:step] along one axis, 0 <= start <= end; the other axes stay whole."""
    rank = len(x.shape)
    starts = tuple(start if i == axis else 0 for i in range(rank))
    ends = tuple(end if i == axis else TO_END for i in range(rank))
    steps = tuple(step if i == axis else 1 for i in range(rank)) if step != 1 else ()
    return n(Slice(starts, ends, steps), x)


def picked(n: Call, x: Entry, axis: int, rows: np.ndarray) -> Entry:
    """Rows by constant index along one axis."""
    return n(Gather(axis), x, n.known(np.asarray(rows, np.int64)))


def joined(n: Call, parts: list[Entry], axis: int) -> Entry:
    """Entries along an axis; one alone is itself."""
    return parts[0] if len(parts) == 1 else n(Concat(axis), *parts)


@imports("Concat")
def concat(n: Call) -> Entry:
    """The same op."""
    parts = n.operands()
    if not parts:
        raise n.refuse("it joins nothing")
    return joined(n, parts, n.axis(n.integer("axis", 1), len(parts[0].shape)))


@imports("Split")
def split(n: Call) -> tuple[Entry, ...]:
    """Sizes are an attribute before opset 13, an operand since; without, parts as equal as can be."""
    x = n.x()
    axis = n.axis(n.integer("axis", 0), len(x.shape))
    sizes = (n.ints(1) if n.get(1) is not None else None) or n.several("split")
    if sizes is None:
        parts, size = len(n.outputs), x.shape[axis]
        if n.integer("num_outputs", parts) != parts or (n.opset < 18 and size % parts):
            raise n.refuse(f"{size} in {parts} parts")
        share = math.ceil(size / parts)
        sizes = tuple(max(0, min(share, size - i * share)) for i in range(parts))
    if len(sizes) != len(n.outputs):
        raise n.refuse(f"{len(sizes)} sizes for {len(n.outputs)} results")
    made = n(Split(axis, tuple(sizes)), x)
    return made if isinstance(made, tuple) else (made,)


@imports("Slice")
def cut(n: Call) -> Entry:
    """Starts and ends are attributes before opset 10, operands since; backward steps pick by index."""
    x = n.x()
    rank = len(x.shape)
    if n.opset < 10:
        starts, ends, axes, steps = n.several("starts"), n.several("ends"), n.several("axes"), None
    else:
        starts, ends, axes, steps = n.ints(1), n.ints(2), n.ints(3), n.ints(4)
    if starts is None or ends is None or len(starts) != len(ends):
        raise n.refuse("starts and ends must be as many")
    axes = axes if axes is not None else tuple(range(len(starts)))
    steps = steps if steps is not None else (1,) * len(starts)
    if len(axes) != len(starts) or len(steps) != len(starts) or 0 in steps:
        raise n.refuse(f"axes {list(axes)} and steps {list(steps)} for {len(starts)} starts")
    first, last, by = [0] * rank, [TO_END] * rank, [1] * rank
    for start, end, axis, step in zip(starts, ends, axes, steps):
        axis = n.axis(axis, rank)
        size = x.shape[axis]
        begin, stop, step = slice(start, end, step).indices(size)
        if step < 0:
            x = picked(n, x, axis, n.arange(size)[slice(start, end, step)])
        else:
            whole = begin == 0 and stop == size
            first[axis], last[axis], by[axis] = begin, TO_END if whole else max(begin, stop), step
    if not any(first) and set(last) <= {TO_END} and set(by) <= {1}:
        return x
    return n(Slice(tuple(first), tuple(last), tuple(by) if set(by) != {1} else ()), x)


@imports("Pad")
def pad(n: Call) -> Entry:
    """Sizes are an attribute before opset 11, operands since; below 0 they cut."""
    x = n.x()
    rank = len(x.shape)
    mode = n.text("mode", "constant")
    if n.opset < 11:
        pads, value, axes = n.several("pads") or n.several("paddings"), n.real("value", 0.0), None
    else:
        pads, value, axes = n.ints(1), n.number(2, 0), n.ints(3)
    axes = tuple(n.axis(a, rank) for a in axes) if axes is not None else tuple(range(rank))
    if pads is None or len(pads) != 2 * len(axes):
        raise n.refuse(f"{len(pads or ())} pads for {len(axes)} axes")
    full = [0] * 2 * rank
    for i, axis in enumerate(axes):
        full[axis], full[rank + axis] = pads[i], pads[len(axes) + i]
    if min(full, default=0) < 0:
        starts = tuple(max(0, -p) for p in full[:rank])
        ends = tuple(s + min(0, q) if q < 0 else TO_END for s, q in zip(x.shape, full[rank:]))
        if any(e < s for s, e in zip(starts, ends)):
            raise n.refuse(f"pads {list(pads)} cut away more than {list(x.shape)} has")
        x = n(Slice(starts, ends), x)
        full = [max(0, p) for p in full]
    return padded(n, x, tuple(full), mode, value)


def padded(n: Call, x: Entry, pads: tuple[int, ...], mode: str, value: float) -> Entry:
    """Grown by `pads` of at least 0; modes that our op does not have, or not that far, pick rows by index."""
    rank = len(x.shape)
    if not any(pads):
        return x
    if mode == "constant":
        return n(Pad(pads, "constant", float(value)), x)
    if mode not in ("reflect", "edge", "wrap"):
        raise n.refuse(f"mode {mode!r} is none of constant, reflect, edge, wrap")
    pairs = list(zip(pads[:rank], pads[rank:]))
    if mode == "edge" or (mode == "reflect" and all(max(p) < s for p, s in zip(pairs, x.shape))):
        return n(Pad(pads, mode), x)
    for axis, (before, after) in enumerate(pairs):
        if before or after:
            n.im.afford(8 * (x.shape[axis] + before + after), "padding")
            rows = np.pad(np.arange(x.shape[axis]), (before, after), mode=mode)  # type: ignore[call-overload]
            x = picked(n, x, axis, rows)
    return x


@imports("Tile")
def tile(n: Call) -> Entry:
    """Repetition along each axis."""
    if n.opset < 6:
        raise n.refuse("it repeats one axis: export with opset 6 or later")
    x, repeats = n.x(), n.ints(1)
    if repeats is None or len(repeats) != len(x.shape) or min(repeats, default=1) < 0:
        raise n.refuse(f"repeats {list(repeats or ())[:8]} of a tensor with {len(x.shape)} dimensions")
    return repeated(n, x, repeats)


def repeated(n: Call, x: Entry, repeats: tuple[int, ...]) -> Entry:
    """np.tile: a new axis before each repeated one, broadcast, then merged."""
    if all(r == 1 for r in repeats):
        return x
    apart = tuple(d for size, r in zip(x.shape, repeats) for d in ((1, size) if r != 1 else (size,)))
    wide = tuple(d for size, r in zip(x.shape, repeats) for d in ((r, size) if r != 1 else (size,)))
    whole = tuple(size * r for size, r in zip(x.shape, repeats))
    return n(Reshape(whole), n(Expand(wide), n(Reshape(apart), x)))


@imports("Expand")
def expand(n: Call) -> Entry:
    """The same op."""
    x, shape = n.x(), n.ints(1)
    if shape is None or min(shape, default=1) < 0:
        raise n.refuse(f"it expands to {list(shape or ())}")
    return n(Expand(shape), x)


@imports("DepthToSpace")
def depth_to_space(n: Call) -> Entry:
    """Channels to blocks of pixels (Shi et al. 2016)."""
    x, size = n.x(), n.integer("blocksize", 0)
    if len(x.shape) != 4 or size < 1 or x.shape[1] % (size * size):
        raise n.refuse(f"blocks of {size} out of {list(x.shape)}")
    _, c, h, w = x.shape
    if n.text("mode", "DCR") == "DCR":
        apart = n(Reshape((0, size, size, c // size**2, h, w)), x)
        turned = n(Transpose((0, 3, 4, 1, 5, 2)), apart)
    else:
        apart = n(Reshape((0, c // size**2, size, size, h, w)), x)
        turned = n(Transpose((0, 1, 4, 2, 5, 3)), apart)
    return n(Reshape((0, c // size**2, h * size, w * size)), turned)


@imports("SpaceToDepth")
def space_to_depth(n: Call) -> Entry:
    """Blocks of pixels to channels."""
    x, size = n.x(), n.integer("blocksize", 0)
    if len(x.shape) != 4 or size < 1 or x.shape[2] % size or x.shape[3] % size:
        raise n.refuse(f"blocks of {size} out of {list(x.shape)}")
    _, c, h, w = x.shape
    apart = n(Reshape((0, c, h // size, size, w // size, size)), x)
    order = (0, 3, 5, 1, 2, 4) if n.text("mode", "DCR") == "DCR" else (0, 1, 3, 5, 2, 4)
    return n(Reshape((0, c * size**2, h // size, w // size)), n(Transpose(order), apart))


@imports("ReverseSequence")
def reverse_sequence(n: Call) -> Entry:
    """The first rows of each batch element turned round, as many as `sequence_lens` says."""
    x, lengths = n.x(), n.ints(1)
    time, batch = n.integer("time_axis", 0), n.integer("batch_axis", 1)
    if lengths is None or sorted((time, batch)) != [0, 1] or len(lengths) != x.shape[batch]:
        raise n.refuse(f"sequence_lens {list(lengths or ())[:8]} of {list(x.shape)}")
    n.im.afford(8 * math.prod(x.shape[:2]), "the turned order")
    steps = np.arange(x.shape[time])
    rows = np.stack([np.where(steps < k, k - 1 - steps, steps) for k in lengths], axis=batch)  # [time, batch] or turned
    flat = np.ravel_multi_index(
        (rows, np.arange(len(lengths))[None]) if time == 0 else (np.arange(len(lengths))[:, None], rows), x.shape[:2]
    )
    merged = n(Reshape((math.prod(x.shape[:2]), *x.shape[2:])), x)
    return n(Reshape(x.shape), picked(n, merged, 0, flat.reshape(-1)))


@imports("CenterCropPad")
def centre_crop_pad(n: Call) -> Entry:
    """Each axis cut to its middle, or padded with zeros around it."""
    x, sizes = n.x(), n.ints(1)
    rank = len(x.shape)
    axes = n.several("axes") or tuple(range(rank))
    if sizes is None or len(axes) != len(sizes):
        raise n.refuse("it needs a size for each axis")
    pads = [0] * 2 * rank
    for axis, size in zip(axes, sizes):
        axis = n.axis(axis, rank)
        given = x.shape[axis]
        if given > size:
            start = (given - size) // 2
            x = sliced(n, x, axis, start, start + size)
        else:
            pads[axis], pads[rank + axis] = (size - given) // 2, (size - given) - (size - given) // 2
    return padded(n, x, tuple(pads), "constant", 0)
