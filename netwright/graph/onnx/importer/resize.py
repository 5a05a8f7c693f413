"""Changing resolution: our Resize where it computes the same, else one matrix or one list of rows for each axis."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ...ops.compare import Where
from ...ops.linear import Linear
from ...ops.resize import Resize
from ...ops.shape import Transpose
from ...types import FLOATS
from .entry import Entry
from .importer import Call, imports
from .move import picked

_ROUND: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "round_prefer_floor": lambda at: np.ceil(at - 0.5),
    "round_prefer_ceil": lambda at: np.floor(at + 0.5),
    "floor": np.floor,
    "ceil": np.ceil,
}


@dataclass(frozen=True)
class Axis:
    """How one axis is sampled: output element k lies at input coordinate at[k]."""

    axis: int
    given: int
    wanted: int
    scale: float  # wanted / given before the size was rounded down
    at: np.ndarray


@imports("Upsample")
def upsample(n: Call) -> Entry:
    """What Resize was before opset 10: coordinates are multiplied, nearest means the one before."""
    scales = n.array(1) if n.get(1) is not None else np.array(n.several("scales", float) or (), np.float32)
    assert scales is not None
    return _resized(n, scales, None, "asymmetric", "floor")


@imports("Resize")
def resize(n: Call) -> Entry:
    """By scales or to sizes, by any of ONNX's coordinate rules."""
    if n.opset < 11:
        return _resized(n, n.array(1), None, "asymmetric", "floor")
    scales, sizes = n.array(2), n.ints(3)
    rule = n.text("coordinate_transformation_mode", "half_pixel")
    return _resized(n, scales, sizes, rule, n.text("nearest_mode", "round_prefer_floor"))


def _resized(n: Call, scales: np.ndarray | None, sizes: tuple[int, ...] | None, rule: str, rounding: str) -> Entry:
    x = n.x()
    rank = len(x.shape)
    mode = {"bilinear": "linear", "trilinear": "linear"}.get(n.text("mode", "nearest"), n.text("mode", "nearest"))
    if mode not in ("nearest", "linear", "cubic") or rounding not in _ROUND:
        raise n.refuse(f"mode {mode!r} with nearest_mode {rounding!r}")
    axes = tuple(n.axis(a, rank) for a in n.several("axes") or range(rank))
    by = [float(s) for s in scales.reshape(-1)] if scales is not None and scales.size else None
    if (by is None) == (not sizes) or len(by or sizes or ()) != len(axes):
        raise n.refuse(f"it needs either scales or sizes for {len(axes)} axes")
    if by is None:
        sizes, by = _kept_ratio(n, [x.shape[a] for a in axes], list(sizes or ()))
    if min(by) <= 0 or not all(map(math.isfinite, by)):
        raise n.refuse(f"scales {by} must be above 0")
    wanted = sizes or tuple(math.floor(x.shape[a] * s) for a, s in zip(axes, by))
    if min(wanted) < 1:
        raise n.refuse(f"it shrinks {list(x.shape)} to nothing")
    n.im.afford(16 * sum(wanted), "resizing")
    region = n.array(1) if rule == "tf_crop_and_resize" else None
    plans = []
    for i, axis in enumerate(axes):
        if (x.shape[axis], by[i]) != (wanted[i], 1.0) or region is not None:
            ends = (float(region[i]), float(region[i + len(axes)])) if region is not None else (0.0, 1.0)
            at = _coordinates(n, rule, x.shape[axis], wanted[i], by[i], ends)
            plans.append(Axis(axis, x.shape[axis], wanted[i], by[i], at))
    ours = _ours(n, x, plans, mode, rounding)
    if ours is not None:
        return n(ours, x) if plans else x
    for plan in plans:
        x = _sampled(n, x, plan, mode, rounding, region is not None)
    return x


def _kept_ratio(n: Call, given: list[int], sizes: list[int]) -> tuple[tuple[int, ...], list[float]]:
    """Sizes and scales by `keep_aspect_ratio_policy`."""
    policy = n.text("keep_aspect_ratio_policy", "stretch")
    scales = [s / max(1, g) for s, g in zip(sizes, given)]
    if policy == "stretch":
        return tuple(sizes), scales
    if policy not in ("not_larger", "not_smaller"):
        raise n.refuse(f"keep_aspect_ratio_policy {policy!r}")
    scale = min(scales) if policy == "not_larger" else max(scales)
    return tuple(math.floor(scale * g + 0.5) for g in given), [scale] * len(given)


def _coordinates(n: Call, rule: str, given: int, wanted: int, scale: float, region: tuple[float, float]) -> np.ndarray:
    """Where each output element lies in input coordinates (the ONNX standard, Resize)."""
    k = np.arange(wanted, dtype=np.float64)
    width = scale * given
    if rule == "asymmetric":
        return k / scale
    if rule == "align_corners":
        return k * ((given - 1) / (width - 1) if width != 1 else 0.0)
    if rule == "half_pixel":
        return (k + 0.5) / scale - 0.5
    if rule == "pytorch_half_pixel":
        return (k + 0.5) / scale - 0.5 if wanted > 1 else np.zeros(1)
    if rule == "half_pixel_symmetric":
        return given / 2 * (1 - wanted / width) + (k + 0.5) / scale - 0.5
    if rule == "tf_crop_and_resize":
        begin, end = region
        if width == 1:
            return np.full(wanted, 0.5 * (begin + end) * (given - 1))
        return begin * (given - 1) + k * (end - begin) * (given - 1) / (width - 1)
    raise n.refuse(f"coordinate_transformation_mode {rule!r} is not one of the standard's")


def _rows(plan: Axis, rounding: str) -> np.ndarray:
    return np.clip(_ROUND[rounding](plan.at), 0, plan.given - 1).astype(np.int64)


def _ours(n: Call, x: Entry, plans: list[Axis], mode: str, rounding: str) -> Resize | None:
    """Our op, where it samples the same elements by the same weights."""
    rank = len(x.shape)
    plain = not n.integer("antialias", 0) and (not n.integer("exclude_outside", 0) or mode == "nearest")
    if rank < 3 or mode == "cubic" or not plain or any(p.axis < 2 for p in plans):
        return None
    if n.text("coordinate_transformation_mode", "") == "tf_crop_and_resize" or x.dtype not in FLOATS:
        return None
    sizes = list(x.shape[2:])
    for plan in plans:
        sizes[plan.axis - 2] = plan.wanted
    for rule in ("half_pixel", "asymmetric", "align_corners"):
        op = Resize(tuple(sizes), mode, rule)
        if mode == "nearest":
            same = all(np.array_equal(op.rows(p.given, p.wanted), _rows(p, rounding)) for p in plans)
        else:
            same = all(
                np.allclose(
                    np.clip(op.positions(p.given, p.wanted), 0, p.given - 1), np.clip(p.at, 0, p.given - 1),
                    rtol=0, atol=1e-6,
                )
                for p in plans
            )  # fmt: skip
        if same:
            return op
    return None


def _sampled(n: Call, x: Entry, plan: Axis, mode: str, rounding: str, cropped: bool) -> Entry:
    """One axis resampled."""
    axis, rank = plan.axis, len(x.shape)
    if mode == "nearest":
        x = picked(n, x, axis, _rows(plan, rounding))
    else:
        if x.dtype not in FLOATS:
            raise n.refuse(f"interpolating {x.dtype} is not supported: cast to float32 before")
        n.im.afford(16 * plan.given * plan.wanted, "resizing")
        weights = n.known(_weights(n, plan, mode), x.dtype)
        order = (*(i for i in range(rank) if i != axis), axis)
        back = tuple(order.index(i) for i in range(rank))
        x = n(Linear(), x if axis == rank - 1 else n(Transpose(order), x), weights)
        x = x if axis == rank - 1 else n(Transpose(back), x)
    if cropped:
        outside = (plan.at < 0) | (plan.at > plan.given - 1)
        if outside.any():
            mask = outside.reshape([-1 if i == axis else 1 for i in range(rank)])
            x = n(Where(), n.known(mask), n.scalar(n.real("extrapolation_value", 0.0), x), x)
    return x


def _weights(n: Call, plan: Axis, mode: str) -> np.ndarray:
    """[wanted, given]: each output element as a weighted sum of input elements; those beyond an edge are the edge."""
    squeeze = min(plan.scale, 1.0) if n.integer("antialias", 0) else 1.0
    reach = math.ceil((1 if mode == "linear" else 2) / squeeze)
    a = n.real("cubic_coeff_a", -0.75)
    base = np.floor(plan.at).astype(np.int64)
    matrix = np.zeros((plan.wanted, plan.given))
    rows = np.arange(plan.wanted)
    for tap in range(-reach, reach + 1):
        index = base + tap
        far = np.abs(index - plan.at) * squeeze
        weight = np.maximum(0, 1 - far) if mode == "linear" else _cubic(far, a)
        if n.integer("exclude_outside", 0):
            weight = np.where((index < 0) | (index >= plan.given), 0, weight)
        np.add.at(matrix, (rows, np.clip(index, 0, plan.given - 1)), weight)
    total = matrix.sum(1, keepdims=True)
    return matrix / np.where(total == 0, 1, total)


def _cubic(far: np.ndarray, a: float) -> np.ndarray:
    """Keys 1981, eq. 4, with free parameter a."""
    near = ((a + 2) * far - (a + 3)) * far * far + 1
    beyond = ((a * far - 5 * a) * far + 8 * a) * far - 4 * a
    return np.where(far <= 1, near, np.where(far < 2, beyond, 0))
