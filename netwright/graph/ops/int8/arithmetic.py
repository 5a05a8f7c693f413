"""Fixed-point requantisation (gemmlowp's), shared by the reference and by everyone who prepares constants."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...types import Quant, Type


def quantise_multiplier(real: float) -> tuple[int, int]:
    """`real` as (multiplier, shift): multiplier / 2^31 * 2^shift, multiplier in [2^30, 2^31) or 0."""
    if real == 0.0:
        return 0, 0
    if not math.isfinite(real):
        raise ValueError(f"a change of scale by {real}: its scales are too far apart")
    fraction, shift = math.frexp(real)
    multiplier = math.floor(fraction * (1 << 31) + 0.5)
    if multiplier == 1 << 31:
        multiplier //= 2
        shift += 1
    return (0, 0) if shift < -31 else (multiplier, shift)


def multipliers(
    x: Quant, w_scale: np.ndarray, out: Quant, float_product: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Per-channel (multiplier, shift) arrays, int64, of a layer that multiplies x by weights and requantises.

    `float_product` rounds x.scale * w_scale to float32, as TFLite's old uint8 convolutions do.
    """
    scales = np.asarray(w_scale, np.float32).reshape(-1)
    products = (np.float32(x.scale) * scales).tolist() if float_product else [x.scale * float(s) for s in scales]
    pairs = [quantise_multiplier(product / out.scale) for product in products]
    return np.array([m for m, _ in pairs], np.int64), np.array([s for _, s in pairs], np.int64)


def multiply_by_multiplier(x: Any, multiplier: Any, shift: Any) -> np.ndarray:
    """x * multiplier * 2^(shift-31) with both of gemmlowp's roundings; integers in, int64 out."""
    shift = np.asarray(shift, np.int64)
    product = (np.asarray(x, np.int64) << np.maximum(shift, 0)) * np.asarray(multiplier, np.int64)
    # gemmlowp nudges by the sign and truncates towards zero; for a shift of 31 that is this floor
    return rounding_shift((product + (1 << 30)) >> 31, np.maximum(-shift, 0))


def multiply_rounding_once(x: Any, multiplier: Any, shift: Any) -> np.ndarray:
    """x * multiplier * 2^(shift-31), rounded once, halves up: what LiteRT's fully connected kernel does."""
    down = 31 - np.asarray(shift, np.int64)
    product = np.asarray(x, np.int64) * np.asarray(multiplier, np.int64)
    return (product + (np.int64(1) << (down - 1))) >> down


def rounding_shift(x: np.ndarray, exponent: Any) -> np.ndarray:
    """x / 2^exponent, nearest, halves away from zero."""
    mask = (np.int64(1) << np.asarray(exponent, np.int64)) - 1
    return (x >> exponent) + ((x & mask) > (mask >> 1) + (x < 0))


def finish(
    accumulator: Any, multiplier: Any, shift: Any, out: Quant, low: int, high: int, dtype: str = "int8"
) -> np.ndarray:
    """Requantise an accumulator to int8 (or `dtype`), with the clamp of a fused activation."""
    y = multiply_by_multiplier(accumulator, multiplier, shift) + out.zero
    return np.clip(y, low, high).astype(dtype)


def need_int8(op: str, t: Type, quant: Quant) -> None:
    """Raise ValueError unless `t` is int8 with this quantisation."""
    if t.dtype != "int8" or t.quant != quant:
        raise ValueError(f"{op} expects int8 with quantisation {tuple(quant)}, got {t}")
