"""Gradients of int8 layers in float32, of the loss by the integers themselves; rounding is passed straight through.

Sums are taken one after the other, in the order each docstring names, with every product and sum rounded to float32: so
that the reference, the host and a microcontroller agree to the bit.
Source: Lin et al. 2022, "On-Device Training Under 256KB Memory", sections 2.1 and 3.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ...op import Op
from ...types import UNIT_QUANT, Quant, Type


@dataclass(frozen=True)
class QClipGradient(Op):
    """g float32 [..., C], clip mask uint8 or None, scale float32 [C] or [1] -> g * scale where the mask is set, else 0.

    What rounding, clamping and requantising do to a gradient; `scale` is what a unit before them is after them.
    """

    in_place: ClassVar[bool] = True

    def types(self, g: Type, mask: Type | None, scale: Type) -> tuple[Type, ...]:  # type: ignore[override]
        if g.dtype != "float32" or scale.dtype != "float32" or scale.shape not in ((1,), g.shape[-1:]):
            raise ValueError(f"q_clip_gradient of {g} with scales {scale}")
        if mask is not None and mask != Type((-(-g.size // 8),), "uint8"):
            raise ValueError(f"q_clip_gradient of {g} with a mask {mask}")
        return (g,)

    def numpy(self, g: Any, mask: Any, scale: Any) -> Any:
        scaled = g * scale
        if mask is None:
            return scaled
        inside = np.unpackbits(mask, count=g.size, bitorder="little").reshape(g.shape)
        return np.where(inside, scaled, np.float32(0))


@dataclass(frozen=True)
class _Window(Op):
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)  # top, left, bottom, right
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1

    def inside(self, tap: int, axis: int, size: int, made: int) -> tuple[slice, slice]:
        """The outputs whose window has `tap` inside an input of `size`, and the places it lies at."""
        start = tap * self.dilation[axis] - self.padding[axis]
        step = self.stride[axis]
        first = max(0, -(start // step))
        last = min(made, (size - 1 - start) // step + 1)
        if last <= first:
            return slice(0, 0), slice(0, 0)
        return slice(first, last), slice(start + first * step, start + (last - 1) * step + 1, step)

    def taps(
        self, kernel: tuple[int, int], size: tuple[int, int], made: tuple[int, int]
    ) -> Iterator[tuple[int, int, tuple[slice, slice], tuple[slice, slice]]]:
        """(row, column, outputs, places) of each tap of a kernel, row by row."""
        for ky in range(kernel[0]):
            rows, above = self.inside(ky, 0, size[0], made[0])
            for kx in range(kernel[1]):
                columns, left = self.inside(kx, 1, size[1], made[1])
                yield ky, kx, (rows, columns), (above, left)


@dataclass(frozen=True)
class QConvInputGradient(_Window):
    """Of a convolution's input: g float32 [1, H', W', O], weights in two parts as in `q_trained_conv` -> [1, H, W, C].

    `size` is (H, W). Each sum runs over rows of the kernel, then columns, then outputs.
    """

    size: tuple[int, int] = (1, 1)

    def types(self, g: Type, trained: Type | None, fixed: Type | None) -> tuple[Type, ...]:  # type: ignore[override]
        parts = [p for p in (trained, fixed) if p is not None]
        if g.dtype != "float32" or len(g.shape) != 4 or not parts or any(p.shape[0] != g.shape[3] for p in parts):
            raise ValueError(f"q_conv_input_gradient of {g} with weights {trained} and {fixed}")
        return (Type((1, *self.size, self.groups * sum(p.shape[3] for p in parts))),)

    def macs(self, g: Type, trained: Type | None, fixed: Type | None) -> int:  # type: ignore[override]
        return g.size * sum(math.prod(p.shape[1:]) for p in (trained, fixed) if p is not None)

    def numpy(self, g: Any, trained: Any, fixed: Any) -> Any:
        w = np.concatenate([p for p in (trained, fixed) if p is not None], axis=3).astype(np.float32)
        o, kh, kw, each = w.shape
        y = np.zeros((1, *self.size, self.groups * each), np.float32)
        depthwise = self.groups == o and each == 1
        for ky, kx, outputs, places in self.taps((kh, kw), self.size, g.shape[1:3]):
            part, to = g[0][outputs], y[0][places]
            if depthwise:
                to += part * w[:, ky, kx, 0]
                continue
            for i in range(o):
                first = i // (o // self.groups) * each
                to[..., first : first + each] += part[..., i, None] * w[i, ky, kx]
        return y


@dataclass(frozen=True)
class QConvWeightGradient(_Window):
    """Of a convolution's weights: x int8 [1, H, W, groups * R], g float32 [1, H', W', O] -> float32 [O, Kh, Kw, R].

    x holds the channels whose weights are wanted. Each sum runs over the output's pixels, row by row.
    """

    kernel: tuple[int, int] = (1, 1)
    x: Quant = UNIT_QUANT

    def types(self, x: Type, g: Type) -> tuple[Type, ...]:  # type: ignore[override]
        if x.dtype != "int8" or x.quant != self.x or g.dtype != "float32" or len(x.shape) != 4 or len(g.shape) != 4:
            raise ValueError(f"{self.name} of {x} and {g}")
        return (Type((g.shape[3], *self.kernel, x.shape[3] // self.groups)),)

    def macs(self, x: Type, g: Type) -> int:  # type: ignore[override]
        return g.size * math.prod(self.kernel) * x.shape[3] // self.groups

    def numpy(self, x: Any, g: Any) -> Any:
        o, each, per_group = g.shape[3], x.shape[3] // self.groups, g.shape[3] // self.groups
        made = np.zeros((o, *self.kernel, each), np.float32)
        real = x[0].astype(np.float32) - np.float32(self.x.zero)
        for oy in range(g.shape[1]):
            for ox in range(g.shape[2]):
                for ky in range(self.kernel[0]):
                    iy = oy * self.stride[0] - self.padding[0] + ky * self.dilation[0]
                    for kx in range(self.kernel[1]):
                        ix = ox * self.stride[1] - self.padding[1] + kx * self.dilation[1]
                        if 0 <= iy < x.shape[1] and 0 <= ix < x.shape[2]:
                            read = np.repeat(real[iy, ix].reshape(self.groups, each), per_group, axis=0)
                            made[:, ky, kx] += g[0, oy, ox][:, None] * read
        return made


@dataclass(frozen=True)
class QMaxPoolGradient(_Window):
    """Of a max pool's input: x int8 [1, H, W, C], g float32 [1, H', W', C] -> float32 [1, H, W, C].

    A window's gradient goes to the first of its largest, row by row; windows row by row.
    """

    kernel: tuple[int, int] = (1, 1)

    def types(self, x: Type, g: Type) -> tuple[Type, ...]:  # type: ignore[override]
        if x.dtype != "int8" or g.dtype != "float32" or len(x.shape) != 4 or len(g.shape) != 4:
            raise ValueError(f"q_max_pool_gradient of {x} and {g}")
        return (Type(x.shape),)

    def numpy(self, x: Any, g: Any) -> Any:
        y = np.zeros(x.shape, np.float32)
        channels = np.arange(x.shape[3])
        for oy in range(g.shape[1]):
            top = oy * self.stride[0] - self.padding[0]
            rows = range(max(0, top), min(x.shape[1], top + self.kernel[0]))
            for ox in range(g.shape[2]):
                left = ox * self.stride[1] - self.padding[1]
                columns = range(max(0, left), min(x.shape[2], left + self.kernel[1]))
                if not rows or not columns:
                    continue
                window = x[0, rows.start : rows.stop, columns.start : columns.stop].reshape(-1, x.shape[3])
                row, column = np.divmod(window.argmax(0), len(columns))
                y[0, rows.start + row, columns.start + column, channels] += g[0, oy, ox]
        return y


@dataclass(frozen=True)
class QBiasGradient(Op):
    """g float32 [..., O] -> float32 [O]: the sum over all else, in the order of memory."""

    def types(self, g: Type) -> tuple[Type, ...]:  # type: ignore[override]
        if g.dtype != "float32":
            raise ValueError(f"q_bias_gradient of {g}")
        return (Type(g.shape[-1:]),)

    def numpy(self, g: Any) -> Any:
        total = np.zeros(g.shape[-1], np.float32)
        for row in g.reshape(-1, g.shape[-1]):
            total += row
        return total


@dataclass(frozen=True)
class QAveragePoolGradient(_Window):
    """Of an average pool's input: g float32 [1, H', W', C] -> [1, H, W, C]; `size` is (H, W).

    A pixel gets the share of each window it lies in, over what the window has inside the image; windows row by row.
    """

    kernel: tuple[int, int] = (1, 1)
    size: tuple[int, int] = (1, 1)

    def types(self, g: Type) -> tuple[Type, ...]:  # type: ignore[override]
        if g.dtype != "float32" or len(g.shape) != 4:
            raise ValueError(f"q_average_pool_gradient of {g}")
        return (Type((1, *self.size, g.shape[3])),)

    def numpy(self, g: Any) -> Any:
        y = np.zeros((1, *self.size, g.shape[3]), np.float32)
        for oy in range(g.shape[1]):
            top = oy * self.stride[0] - self.padding[0]
            rows = slice(max(0, top), max(0, min(self.size[0], top + self.kernel[0])))
            for ox in range(g.shape[2]):
                left = ox * self.stride[1] - self.padding[1]
                columns = slice(max(0, left), max(0, min(self.size[1], left + self.kernel[1])))
                window = y[0, rows, columns]
                count = window.shape[0] * window.shape[1]
                if count:
                    window += g[0, oy, ox] / np.float32(count)
        return y
