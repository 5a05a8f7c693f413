"""Log-mel features of int16 sound in fixed point: window, real FFT, mel filters, base-2 logarithm.

The transform is radix 2, decimation in time, on 32 bits: every stage halves, so that nothing overflows, and a factor
is 16 bits wide, so that a product is one instruction of a core with the DSP extension (SMULWB). An FFT of N real
samples is one of N/2 complex ones whose parts are its even and odd samples (Sorensen et al. 1987, "Real-Valued Fast
Fourier Transform Algorithms").
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...op import Op
from ...types import UNIT_QUANT, Quant, Type

FRACTION = 8  # bits of the result behind the point
INTERVALS = 32  # of the table of logarithms
POWER_SHIFT = 28  # from the 64 bits of a square to the 32 that the filters read
_CHUNK = 2048  # frames that the reference computes at once


@dataclass(frozen=True)
class QLogMel(Op):
    """int16 [n, samples] -> int16 [n, frames, mels, 1]: 256 log2(energy + floor) of windows moved by `hop` samples.

    window: int16 [W], Q15; roots: int16 [N/2, 2], cos and sin of 2 pi k / N in Q15; bands: int16 [mels, 2], each
    filter's first bin and how many it has, inside 1 .. N/2 - 1; weights: int16, all filters' one after the other, Q15;
    logs: int16 [33], log2(1 + i / 32) in Q14. N is a power of two, at least 8 and W. `out` says what the result stands
    for. Samples behind the last whole window are not read.
    """

    hop: int = 160
    floor: int = 1
    out: Quant = UNIT_QUANT

    def types(self, x: Type, window: Type, roots: Type, bands: Type, weights: Type, logs: Type) -> tuple[Type, ...]:  # type: ignore[override]
        tables = (window, roots, bands, weights, logs)
        if any(t.dtype != "int16" for t in (x, *tables)) or len(x.shape) != 2:
            raise ValueError(f"q_log_mel takes int16 [n, samples] and int16 tables, not {x} and {tables}")
        half = roots.shape[0]
        right = len(window.shape) == len(weights.shape) == 1 and roots.shape[1:] == bands.shape[1:] == (2,)
        if not right or logs.shape != (INTERVALS + 1,):
            raise ValueError(f"q_log_mel: tables of shapes {', '.join(str(t.shape) for t in tables)}")
        if half < 4 or half & (half - 1) or not 2 <= window.shape[0] <= 2 * half:
            raise ValueError(f"q_log_mel: a window of {window.shape[0]} samples in a transform of {2 * half}")
        if self.hop < 1 or self.floor < 1 or x.shape[1] < window.shape[0]:
            given = f"hop {self.hop}, floor {self.floor} and {x.shape[1]} samples"
            raise ValueError(f"q_log_mel: {given}, for windows of {window.shape[0]}")
        frames = 1 + (x.shape[1] - window.shape[0]) // self.hop
        return (Type((x.shape[0], frames, bands.shape[0], 1), "int16", self.out),)

    def macs(self, x: Type, window: Type, roots: Type, bands: Type, weights: Type, logs: Type) -> int:  # type: ignore[override]
        """Products of windows, butterflies, squares and filters."""
        frames = 1 + (x.shape[1] - window.shape[0]) // self.hop
        half = roots.shape[0]
        stages = half.bit_length() - 1
        return int(x.shape[0] * frames * (window.shape[0] + 2 * half * (stages - 2) + 4 * half + weights.shape[0]))

    def numpy(self, x: Any, window: Any, roots: Any, bands: Any, weights: Any, logs: Any) -> Any:
        frames = np.lib.stride_tricks.sliding_window_view(x, len(window), axis=1)[:, :: self.hop]
        rows = frames.reshape(-1, len(window))
        wide = [np.asarray(t, np.int64) for t in (window, roots, bands, weights, logs)]
        made = np.empty((len(rows), len(bands)), np.int16)
        for start in range(0, len(rows), _CHUNK):
            made[start : start + _CHUNK] = self._rows(rows[start : start + _CHUNK].astype(np.int64), *wide)
        return made.reshape(*frames.shape[:2], len(bands), 1)

    def _rows(self, x: Any, window: Any, roots: Any, bands: Any, weights: Any, logs: Any) -> Any:
        """Windows int64 [rows, W] -> [rows, mels]."""
        half = len(roots)
        filled = np.zeros((len(x), 2 * half), np.int64)
        filled[:, : len(window)] = x * window
        power = _power(*_transform(filled[:, ::2], filled[:, 1::2], roots), roots)
        energy = np.empty((len(x), len(bands)), np.int64)
        place = 0
        for mel, (first, count) in enumerate(bands):
            energy[:, mel] = power[:, first : first + count] @ weights[place : place + count]
            place += count
        return _logarithm(energy + self.floor, logs)


def _by(x: Any, factor: Any) -> Any:
    """Half of x times a factor in Q15: what SMULWB gives."""
    return (x * factor) >> 16


def _transform(re: Any, im: Any, roots: Any) -> tuple[Any, Any]:
    """Complex rows [rows, n] -> their transforms / n."""
    rows, n = re.shape
    order = _reversed(n)
    re, im = re[:, order], im[:, order]
    width = 1  # of the transforms that a stage joins
    while width < n:
        (ar, br), (ai, bi) = (v.reshape(rows, -1, 2, width).transpose(2, 0, 1, 3) for v in (re, im))
        if width == 1:
            wr, wi = br >> 1, bi >> 1
        elif width == 2:  # by 1 and by -i
            wr = np.stack([br[..., 0] >> 1, bi[..., 1] >> 1], -1)
            wi = np.stack([bi[..., 0] >> 1, -(br[..., 1] >> 1)], -1)
        else:
            c, s = roots[:: n // width].T
            wr, wi = _by(br, c) + _by(bi, s), _by(bi, c) - _by(br, s)
        re = np.stack([(ar >> 1) + wr, (ar >> 1) - wr], 2).reshape(rows, n)
        im = np.stack([(ai >> 1) + wi, (ai >> 1) - wi], 2).reshape(rows, n)
        width *= 2
    return re, im


def _reversed(n: int) -> np.ndarray:
    """0 .. n - 1 with their bits in reverse order."""
    order = np.zeros(1, np.int64)
    while len(order) < n:
        order = np.concatenate([2 * order, 2 * order + 1])
    return order


def _power(re: Any, im: Any, roots: Any) -> Any:
    """Of the transform of even and odd samples, the squares of the real transform's bins 1 .. n - 1, [rows, n]."""
    n = re.shape[1]
    k = np.arange(1, n // 2 + 1)
    (zr, yr), (zi, yi) = ((v[:, k] >> 1, v[:, n - k] >> 1) for v in (re, im))
    c, s = roots[k].T
    dr, di = zr - yr, zi + yi
    tr, ti = 2 * (_by(di, c) - _by(dr, s)), 2 * (_by(dr, c) + _by(di, s))
    power = np.zeros(re.shape, np.int64)
    half = 1 << (POWER_SHIFT - 1)
    power[:, n - k] = (np.square(zr + yr - tr) + np.square(zi - yi + ti) + half) >> POWER_SHIFT
    power[:, k] = (np.square(zr + yr + tr) + np.square(zi - yi - ti) + half) >> POWER_SHIFT
    return power


def _logarithm(x: Any, logs: Any) -> Any:
    """int64 above 0 -> 256 log2, by a table of 32 intervals and straight lines between them."""
    whole = np.frexp(x.astype(np.float64))[1].astype(np.int64) - 1
    whole -= (x >> whole) == 0  # a float64 may round up to the next power of two
    fraction = np.where(whole >= 32, x >> np.maximum(whole - 32, 0), x << np.maximum(32 - whole, 0)) & 0xFFFFFFFF
    index, rest = fraction >> 27, (fraction >> 11) & 0xFFFF
    between = logs[index] + (((logs[index + 1] - logs[index]) * rest) >> 16)
    return (whole << FRACTION) + (between >> (14 - FRACTION))
