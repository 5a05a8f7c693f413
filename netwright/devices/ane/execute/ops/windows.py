"""Sliding windows of convolutions and poolings: output sizes, padding, strided views."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from ..call import Call


@dataclass(frozen=True)
class Windows:
    """How a kernel walks over the spatial axes.

    Attributes:
        kernel, strides, dilations: one number a spatial axis.
        pads: before and after, one pair a spatial axis.
        out: sizes of the result's spatial axes.
    """

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    pads: tuple[tuple[int, int], ...]
    out: tuple[int, ...]

    @property
    def pointwise(self) -> bool:
        """Whether every window is one element and every element is a window."""
        return set(self.kernel) == {1} and set(self.strides) == {1} and not any(map(any, self.pads))

    def padded(self, x: np.ndarray, value: float) -> np.ndarray:
        """x [N, C, ...] with `value` around it."""
        if not any(map(any, self.pads)):
            return x
        return np.pad(x, ((0, 0), (0, 0), *((max(b, 0), max(a, 0)) for b, a in self.pads)), constant_values=value)

    def view(self, x: np.ndarray, value: float = 0.0) -> np.ndarray:
        """Windows of x [N, C, ...] as a view [N, C, *out, *kernel] of the padded array."""
        reach = [(k - 1) * d + 1 for k, d in zip(self.kernel, self.dilations)]
        axes = tuple(range(2, 2 + len(reach)))
        view = np.lib.stride_tricks.sliding_window_view(self.padded(x, value), reach, axes)
        every = tuple(slice(0, (o - 1) * s + 1, s) for o, s in zip(self.out, self.strides))
        return view[(slice(None), slice(None), *every, *(slice(None, None, d) for d in self.dilations))]


def windows(call: Call, shape: tuple[int, ...], kernel: tuple[int, ...], ceil_mode: bool = False) -> Windows:
    """Over the spatial axes of x [N, C, ...], as a statement's strides, dilations, pad_type and pad say.

    pad_type is valid, custom (pad: before and after, axis by axis), same or same_lower (the odd element before).
    """
    leading, spatial = shape[:2], shape[2:]
    count = len(spatial)
    strides = tuple(call.ints("strides", count, [1] * count))
    dilations = tuple(call.ints("dilations", count, [1] * count))
    kind = call.const("pad_type", "valid")
    if min((*strides, *dilations, *kernel), default=0) < 1:
        call.fail("kernel, strides and dilations must be at least 1")
    if kind not in ("valid", "custom", "same", "same_lower"):
        call.fail(f"pad_type is {kind!r}, expected valid, custom, same or same_lower")
    pads, out = [], []
    given = call.ints("pad", 2 * count, [0] * (2 * count)) if kind == "custom" else [0] * (2 * count)
    for axis, (size, k, s, d) in enumerate(zip(spatial, kernel, strides, dilations)):
        reach = (k - 1) * d + 1
        before, after = given[2 * axis : 2 * axis + 2]
        if kind.startswith("same"):
            total = max((-(-size // s) - 1) * s + reach - size, 0)
            before, after = (total // 2, total - total // 2) if kind == "same" else (total - total // 2, total // 2)
        if min(before, after) < 0 or size + before + after < reach:
            call.fail(f"a window of {reach} does not fit {size} elements with pads of {before} and {after}")
        room = size + before + after - reach
        steps = room // s
        if ceil_mode and room % s and (steps + 1) * s < size + before:
            steps += 1
            after += steps * s - room
        pads.append((before, after))
        out.append(steps + 1)
    whole = prod(size + max(before, 0) + max(after, 0) for size, (before, after) in zip(spatial, pads))
    call.room(whole * prod(leading), "the padded input")
    return Windows(kernel, strides, dilations, tuple(pads), tuple(out))
