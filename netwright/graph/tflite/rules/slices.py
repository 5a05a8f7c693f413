"""Which block SLICE and STRIDED_SLICE mean."""

from __future__ import annotations

from ..importer import Import
from ..model import Operator

Block = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[int, ...]]


def strided(imp: Import, op: Operator, given: tuple[int, ...]) -> Block:
    """(starts, ends, steps, result shape), one start, end and step for each dimension of the input."""
    if op.code == "SLICE":
        begins, sizes = imp.ints(op, 1), imp.ints(op, 2)
        if len(begins) != len(given) or len(sizes) != len(given):
            imp.refuse(op, f"{len(begins)} begins and {len(sizes)} sizes for a tensor of rank {len(given)}")
        ends = tuple(n if s == -1 else b + s for b, s, n in zip(begins, sizes, given))
        if any(not 0 <= b <= e <= n for b, e, n in zip(begins, ends, given)):
            imp.refuse(op, f"begins {list(begins)} and sizes {list(sizes)} reach outside {list(given)}")
        return begins, ends, (1,) * len(given), tuple(e - b for b, e in zip(begins, ends))
    options = op.options
    begins, limits, steps = imp.ints(op, 1), imp.ints(op, 2), imp.ints(op, 3)
    if not len(begins) == len(limits) == len(steps) or not all(steps):
        imp.refuse(op, f"begins {list(begins)}, ends {list(limits)}, steps {list(steps)}")
    if options["ellipsis_mask"] or options["new_axis_mask"]:
        imp.refuse(op, "an ellipsis or a new axis among its slices is not supported")
    if options["offset"]:
        limits = tuple(b + e for b, e in zip(begins, limits))
    if len(begins) > len(given):
        imp.refuse(op, f"{len(begins)} slices of a tensor of rank {len(given)}")
    starts: list[int] = []
    stops: list[int] = []
    strides: list[int] = []
    shape: list[int] = []
    for axis, n in enumerate(given):
        if axis >= len(begins):
            start, end, step, shrink = 0, n, 1, False
        else:
            step, shrink = steps[axis], bool(options["shrink_axis_mask"] >> axis & 1)
            start = begins[axis] + (n if begins[axis] < 0 else 0)
            end = limits[axis] + (n if limits[axis] < 0 else 0)
            lowest, highest = (0, n) if step > 0 else (-1, n - 1)
            if shrink:
                if not 0 <= start < n:
                    imp.refuse(op, f"index {begins[axis]} of an axis of size {n}")
                start, end, step = start, start + 1, 1
            else:
                start = (0 if step > 0 else n - 1) if options["begin_mask"] >> axis & 1 else start
                end = (n if step > 0 else -1) if options["end_mask"] >> axis & 1 else end
                start, end = min(max(start, lowest), highest), min(max(end, lowest), highest)
                end = max(end, start) if step > 0 else end
        starts.append(start)
        stops.append(end)
        strides.append(step)
        if not shrink:
            shape.append(len(range(start, end, step)))
    return tuple(starts), tuple(stops), tuple(strides), tuple(shape)
