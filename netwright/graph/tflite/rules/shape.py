"""What moves elements: reshape, transpose, slices, joins, padding, resizing."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...graph import Value
from ...ops.index import Gather
from ...ops.int8.elementwise import QRelabel
from ...ops.int8.resize import QResizeBilinear
from ...ops.resize import Resize
from ...ops.shape import Concat, Pad, Reshape, Slice, Split, Transpose
from ..importer import TO_FIRST, Import, fits, imports
from ..model import Operator
from .common import fused
from .slices import strided


def relabelled(imp: Import, op: Operator, value: Value, place: int = 0) -> Value:
    """A moved value in its own result's quantisation: such kernels copy integers and ignore scales."""
    result = imp.result(op, place)
    if not imp.integer(result) or value.dtype != "int8":
        return value
    out = imp.quant(op, result)
    return value if value.type.quant == out else imp.b(QRelabel(out), value, name=f"{imp.name(op, place)}.scale")


def _put(imp: Import, op: Operator, value: Value, place: int = 0) -> None:
    imp.put(op, relabelled(imp, op, value, place), place)


@imports("RESHAPE", "SQUEEZE", "EXPAND_DIMS")
def reshape(imp: Import, op: Operator) -> None:
    """The shape is an input, an option, or the result's own."""
    value = imp.value(op, 0)
    shape = wanted_shape(imp, op, value.shape)
    if math.prod(shape) != value.type.size:
        imp.refuse(op, f"{list(value.shape)} does not reshape to {list(shape)}")
    kept = (0, *shape[1:]) if shape and value.shape and shape[0] == value.shape[0] else shape
    _put(imp, op, imp.b(Reshape(kept), value, name=imp.name(op)) if shape != value.shape else value)


def wanted_shape(imp: Import, op: Operator, given: tuple[int, ...]) -> tuple[int, ...]:
    """The result shape of RESHAPE, SQUEEZE or EXPAND_DIMS."""
    if op.code == "EXPAND_DIMS":
        (axis,) = imp.ints(op, 1, 1)
        axis = axis + len(given) + 1 if axis < 0 else axis
        if not 0 <= axis <= len(given):
            imp.refuse(op, f"axis {axis} for a tensor of rank {len(given)}")
        return (*given[:axis], 1, *given[axis:])
    if op.code == "SQUEEZE":
        axes = op.options["axes"] or [a for a, n in enumerate(given) if n == 1]
        gone = {a + len(given) if a < 0 else a for a in axes}
        if any(not 0 <= a < len(given) or given[a] != 1 for a in gone):
            imp.refuse(op, f"axes {sorted(gone)} of {list(given)} are not all of size 1")
        return tuple(n for a, n in enumerate(given) if a not in gone)
    if len(op.inputs) > 1 and op.inputs[1] in imp.known:
        wanted = imp.ints(op, 1)
    elif op.options["shape"] is not None:
        wanted = op.options["shape"]
    else:
        wanted = imp.result(op).shape
    if -1 in wanted:
        rest = math.prod(n for n in wanted if n != -1)
        if wanted.count(-1) > 1 or not rest:
            imp.refuse(op, f"cannot reshape {list(given)} to {list(wanted)}")
        wanted = tuple(math.prod(given) // rest if n == -1 else n for n in wanted)
    return tuple(wanted)


@imports("TRANSPOSE")
def transpose(imp: Import, op: Operator) -> None:
    """An image that is channels first already is what a turn to that order wants."""
    permutation = imp.ints(op, 1)
    if imp.is_first(op, 0) and permutation == TO_FIRST:
        imp.put(op, imp.first(op, 0))
        return
    _put(imp, op, imp.b(Transpose(permutation), imp.value(op, 0), name=imp.name(op)))


@imports("CONCATENATION")
def concat(imp: Import, op: Operator) -> None:
    """Integer parts must share the result's scale, as TFLite's int8 kernel demands."""
    result = imp.result(op)
    rank = len(imp.shape_of(imp.tensor(op, 0).index))
    axis = op.options["axis"] + (rank if op.options["axis"] < 0 else 0)
    name = imp.name(op)
    if imp.integer(result):
        out = imp.quant(op, result)
        parts = [imp.value(op, p) for p in range(len(op.inputs))]
        if any(v.type.quant is None or abs(v.type.quant.scale - out.scale) > 1e-6 * out.scale for v in parts):
            imp.refuse(op, "its integer parts have different scales")
        same = [v if v.type.quant == out else imp.b(QRelabel(out), v, name=f"{v.name}.scale") for v in parts]
        imp.put(op, imp.b(Concat(axis), *same, name=name))
        return
    if rank == 4 and 0 <= axis < 4 and all(imp.is_first(op, p) for p in range(len(op.inputs))):
        parts = [imp.first(op, p) for p in range(len(op.inputs))]
        imp.put_first(op, fused(imp, op, imp.b(Concat(TO_FIRST.index(axis)), *parts, name=name)))
        return
    parts = [imp.value(op, p) for p in range(len(op.inputs))]
    imp.put(op, fused(imp, op, imp.b(Concat(axis), *parts, name=name)))


@imports("PACK")
def pack(imp: Import, op: Operator) -> None:
    """A new axis, then a join."""
    imp.tensor(op, 0)  # there is one at least
    parts = []
    for place in range(len(op.inputs)):
        value = imp.value(op, place)
        axis = op.options["axis"] + (len(value.shape) + 1 if op.options["axis"] < 0 else 0)
        shape = (*value.shape[:axis], 1, *value.shape[axis:])
        parts.append(imp.b(Reshape(shape), value, name=f"{imp.name(op)}.{place}"))
    axis = op.options["axis"] + (len(parts[0].shape) if op.options["axis"] < 0 else 0)
    _put(imp, op, imp.b(Concat(axis), *parts, name=imp.name(op)))


@imports("SPLIT", "SPLIT_V", "UNPACK")
def split(imp: Import, op: Operator) -> None:
    """Equal parts, given sizes, or single slices without their axis."""
    place = 1 if op.code == "SPLIT" else 0
    value, parts = imp.value(op, place), len(op.outputs)
    rank = len(value.shape)
    if op.code == "UNPACK":
        axis = op.options["axis"]
    else:
        (axis,) = imp.ints(op, 0 if op.code == "SPLIT" else 2, 1)
    axis = axis + rank if axis < 0 else axis
    if not 0 <= axis < rank:
        imp.refuse(op, f"axis {axis} of a tensor of rank {rank}")
    whole = value.shape[axis]
    if op.code == "SPLIT_V":
        sizes = imp.ints(op, 1)
        if sizes.count(-1) == 1:
            sizes = tuple(whole - sum(sizes) - 1 if s == -1 else s for s in sizes)
    else:
        sizes = (whole // parts,) * parts
    if len(sizes) != parts or sum(sizes) != whole or min(sizes) < 0:
        imp.refuse(op, f"{whole} elements do not split into {list(sizes)}")
    made: Any = imp.b(Split(axis, sizes), value, name=imp.name(op)) if parts > 1 else (value,)
    for i, piece in enumerate(made):
        if op.code == "UNPACK":
            shape = (*piece.shape[:axis], *piece.shape[axis + 1 :])
            piece = imp.b(Reshape(shape), piece, name=imp.name(op, i))
        _put(imp, op, piece, i)


@imports("SLICE", "STRIDED_SLICE")
def cut(imp: Import, op: Operator) -> None:
    """Begins and sizes, or begins, ends and steps with their masks."""
    value = imp.value(op, 0)
    starts, ends, steps, shape = strided(imp, op, value.shape)
    name = imp.name(op)
    if min(steps) < 1:
        imp.refuse(op, f"steps {list(steps)}: only positive steps are supported")
    whole = all(s == 0 and e == n and t == 1 for s, e, t, n in zip(starts, ends, steps, value.shape))
    y = value if whole else imp.b(Slice(starts, ends, steps), value, name=name)
    _put(imp, op, y if y.shape == shape else imp.b(Reshape(shape), y, name=f"{name}.shape"))


@imports("GATHER")
def gather(imp: Import, op: Operator) -> None:
    """Constant or computed rows along one axis."""
    if op.options["batch_dims"]:
        imp.refuse(op, "batch dimensions are not supported")
    value = imp.value(op, 0)
    rank = len(value.shape)
    axis = op.options["axis"] + (rank if op.options["axis"] < 0 else 0)
    _put(imp, op, imp.b(Gather(axis), value, imp.value(op, 1), name=imp.name(op)))


@imports("PAD", "PADV2", "MIRROR_PAD")
def pad(imp: Import, op: Operator) -> None:
    """Zeros (the zero point), a constant, or mirrored borders."""
    x = imp.tensor(op, 0)
    if imp.array(op, 1).dtype.kind not in "iu" or imp.array(op, 1).size % 2:
        imp.refuse(op, f"its pads are {imp.array(op, 1).dtype}{list(imp.array(op, 1).shape)}, not pairs of integers")
    pairs = np.asarray(imp.array(op, 1)).reshape(-1, 2).tolist()
    fill = 0.0
    if op.code == "PADV2":
        fill = float(imp.array(op, 2).reshape(-1)[0])
        fill -= 128 if x.dtype == "uint8" and imp.integer(x) else 0
    elif imp.integer(x):
        fill = float(imp.quant(op, x).zero)
    first = imp.is_first(op, 0) and len(pairs) == 4
    if first:
        pairs = [pairs[i] for i in TO_FIRST]
    value = imp.first(op, 0) if first else imp.value(op, 0)
    if len(pairs) != len(value.shape) or any(n < 0 for pair in pairs for n in pair):
        imp.refuse(op, f"pads {pairs} of a tensor of rank {len(value.shape)}")
    pads = (*(int(b) for b, _ in pairs), *(int(e) for _, e in pairs))
    if op.code == "MIRROR_PAD":
        y = _mirrored(imp, op, value, pairs, "symmetric" if op.options["mode"] else "reflect")
    else:
        y = imp.b(Pad(pads, value=fill), value, name=imp.name(op)) if any(pads) else value
    imp.put_first(op, y) if first else _put(imp, op, y)


def _mirrored(imp: Import, op: Operator, value: Value, pairs: list[list[int]], mode: str) -> Value:
    """Borders that repeat what is inside: one gather an axis."""
    for axis, (before, after) in enumerate(pairs):
        if before or after:
            size = value.shape[axis]
            if max(before, after) > size - (mode == "reflect") or not fits((size + before + after,)):
                imp.refuse(op, f"{before} and {after} more along an axis of size {size}")
            rows = np.pad(np.arange(size, dtype=np.int32), (before, after), mode=mode)  # type: ignore[call-overload]
            value = imp.b(Gather(axis), value, imp.b.constant(rows, f"{imp.name(op)}.rows"), name=imp.name(op))
    return value


@imports("RESIZE_NEAREST_NEIGHBOR", "RESIZE_BILINEAR")
def resize(imp: Import, op: Operator) -> None:
    """Rows and columns as TFLite's reference kernels choose them."""
    x = imp.tensor(op, 0)
    height, width = imp.ints(op, 1, 2)
    corners, centres = bool(op.options["align_corners"]), bool(op.options["half_pixel"])
    name = imp.name(op)
    if min(height, width) < 1 or not fits((height, width)) or len(imp.shape_of(x.index)) != 4:
        imp.refuse(op, f"{list(imp.shape_of(x.index))} to {height} x {width}")
    if op.code == "RESIZE_NEAREST_NEIGHBOR":
        first = imp.is_first(op, 0)
        value = imp.first(op, 0) if first else imp.value(op, 0)
        for axis, wanted in ((2 if first else 1, height), (3 if first else 2, width)):
            rows = _nearest(value.shape[axis], wanted, corners, centres)
            value = imp.b(Gather(axis), value, imp.b.constant(rows, f"{name}.rows"), name=name)
        imp.put_first(op, value) if first else _put(imp, op, value)
        return
    if imp.integer(x):
        _put(imp, op, imp.b(QResizeBilinear((height, width), corners, centres), imp.value(op, 0), name=name))
        return
    coordinates = "align_corners" if corners else "half_pixel" if centres else "asymmetric"
    imp.put_first(op, imp.b(Resize((height, width), "linear", coordinates), imp.first(op, 0), name=name))


def _nearest(old: int, new: int, corners: bool, centres: bool) -> np.ndarray:
    """The old index of each new one, in float32 (TFLite `GetNearestNeighbor`)."""
    scale = np.float32((old - 1) / np.float32(new - 1)) if corners and new > 1 else np.float32(old / np.float32(new))
    at = (np.arange(new, dtype=np.float32) + np.float32(0.5 if centres else 0.0)) * scale
    rows = np.floor(at + np.float32(0.5)) if corners else np.floor(at)
    return np.clip(rows.astype(np.int32), 0, old - 1)


@imports("SPACE_TO_DEPTH", "DEPTH_TO_SPACE")
def blocks(imp: Import, op: Operator) -> None:
    """Blocks of pixels to channels, or back: two reshapes around a transpose."""
    value, size = imp.value(op, 0), op.options["block_size"]
    if len(value.shape) != 4 or size < 1:
        imp.refuse(op, f"{list(value.shape)} in blocks of {size}")
    n, h, w, c = value.shape
    if op.code == "SPACE_TO_DEPTH":
        split_up, final = (n, h // size, size, w // size, size, c), (n, h // size, w // size, size * size * c)
        order = (0, 1, 3, 2, 4, 5)
    else:
        split_up, final = (n, h, w, size, size, c // (size * size)), (n, h * size, w * size, c // (size * size))
        order = (0, 1, 3, 2, 4, 5)
    name = imp.name(op)
    apart = imp.b(Reshape(split_up), value, name=f"{name}.blocks")
    _put(imp, op, imp.b(Reshape(final), imp.b(Transpose(order), apart, name=f"{name}.turned"), name=name))
