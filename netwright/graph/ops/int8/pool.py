"""Pooling on int8 [N, H, W, C]; input and output share one quantisation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...op import Op
from ...types import Type
from ..conv import windows_of
from ..pool import AveragePool, MaxPool


@dataclass(frozen=True)
class _QPool(Op):
    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)  # top, left, bottom, right
    low: int = -128
    high: int = 127

    def types(self, x: Type) -> tuple[Type, ...]:  # type: ignore[override]
        if x.dtype != "int8" or len(x.shape) != 4:
            raise ValueError(f"{self.name} needs int8 [N, H, W, C], got {x}")
        n, h, w, c = x.shape
        pooled = MaxPool(self.kernel, self.stride, self.padding).types(Type((n, c, h, w)))[0].shape
        return (Type((n, pooled[2], pooled[3], c), "int8", x.quant),)

    def _windows(self, x: np.ndarray, fill: int) -> np.ndarray:
        """[N, H', W', C, taps], padding filled."""
        windows = windows_of(x.transpose(0, 3, 1, 2), self.kernel, self.stride, self.padding, (1, 1), fill)
        return windows.transpose(0, 2, 3, 1, 4, 5).reshape(*(windows.shape[i] for i in (0, 2, 3, 1)), -1)


class QMaxPool(_QPool):
    """Largest of each window."""

    def numpy(self, x: Any) -> Any:
        return np.clip(self._windows(x, -128).max(-1), self.low, self.high).astype(np.int8)


@dataclass(frozen=True)
class QAveragePool(_QPool):
    """Mean of what each window has inside the image, halves rounded away from `-offset`.

    TFLite's int8 kernel rounds away from zero; its uint8 kernel, whose zero is our -128, upwards: `offset` = 128.
    """

    offset: int = 0

    def numpy(self, x: Any) -> Any:
        counts = AveragePool(self.kernel, self.stride, self.padding).counts(x.shape[1:3], "float64")
        count = counts.astype(np.int64).reshape(*counts.shape[2:], 1)
        total = self._windows(x.astype(np.int64), 0).sum(-1) + self.offset * count
        mean = (np.abs(total) + count // 2) // count * np.sign(total) - self.offset
        return np.clip(mean, self.low, self.high).astype(np.int8)

    @property
    def taps(self) -> int:
        """Elements of a full window."""
        return math.prod(self.kernel)
