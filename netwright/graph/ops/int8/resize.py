"""Bilinear resizing of int8 images in ten-bit fixed point."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...op import Op
from ...types import Type

ONE = 1 << 10


@dataclass(frozen=True)
class QResizeBilinear(Op):
    """int8 [N, H, W, C] -> [N, *size, C]; source: TensorFlow Lite's reference `ResizeBilinearInteger`."""

    size: tuple[int, int] = (1, 1)
    align_corners: bool = False
    half_pixel: bool = False

    def types(self, x: Type) -> tuple[Type, ...]:  # type: ignore[override]
        if x.dtype != "int8" or len(x.shape) != 4 or min(self.size) < 1:
            raise ValueError(f"q_resize_bilinear to {self.size} needs int8 [N, H, W, C], got {x}")
        return (x.with_shape((x.shape[0], *self.size, x.shape[3])),)

    def places(self, old: int, new: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """For each new index: the two old ones it lies between, and how far towards the second, in 1/1024."""
        scale = (ONE * old + new // 2) // new
        if self.align_corners and new > 1:
            scale = (ONE * (old - 1) + (new - 1) // 2) // (new - 1)
        at = np.arange(new, dtype=np.int64) * scale
        if self.half_pixel:
            at = at + scale // 2 - ONE // 2
        first = np.maximum(np.trunc(at / ONE).astype(np.int64), 0)  # C divides towards zero
        last = np.minimum(np.trunc((at + ONE - 1) / ONE).astype(np.int64), old - 1)
        return first, last, at - ONE * first

    def numpy(self, x: Any) -> Any:
        wide = x.astype(np.int64)
        top, bottom, down = self.places(x.shape[1], self.size[0])
        left, right, across = self.places(x.shape[2], self.size[1])
        down, across = down[:, None, None], across[:, None]
        upper, lower = wide[:, top], wide[:, bottom]
        total = (
            upper[:, :, left] * (ONE - down) * (ONE - across)
            + lower[:, :, left] * down * (ONE - across)
            + upper[:, :, right] * (ONE - down) * across
            + lower[:, :, right] * down * across
        )
        half = np.where(total > 0, 1 << 19, -(1 << 19))
        rounded = np.abs(total + half) >> 20
        return (rounded * np.sign(total + half)).astype(np.int8)
