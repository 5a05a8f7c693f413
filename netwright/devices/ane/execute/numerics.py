"""The engine's arithmetic as switches, and rounding to fp16 of values that are kept in fp32 arrays.

Every fp16 value is held as a float32 that fp16 can represent: products of two such numbers are exact in float32, sums
are accumulated there, and each op's result is rounded once, to nearest, ties to even.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from threading import local

import numpy as np

from ...host import native

SMALLEST_NORMAL = np.float32(2.0**-14)
_SMALL = 2048
_BLOCK = 1 << 15
_EXPONENT, _SIGN = np.uint32(0x7F800000), np.uint32(0x80000000)
_LARGE = np.float32(2.0**15).view(np.uint32)  # the exponent from which on rounding may reach infinity
_TOP, _LIFT = np.float32(2.0**16), np.float32(12288.0)
_SCALE, _BACK = np.float32(2.0**112), np.float32(2.0**-112)


class _Scratch(local):
    """Two blocks of working memory, of one thread each."""

    def __init__(self) -> None:
        self.magic = np.empty(_BLOCK, np.float32)
        self.signs = np.empty(_BLOCK, np.uint32)


_scratch = _Scratch()


@dataclass(frozen=True)
class Numerics:
    """What differs between chips and tool chains (Orion, fp16 executor; conflicts between sources are profiles).

    Attributes:
        reduce_sum: accumulator of `reduce_sum`: `fp32`, or `fp16`, where every partial sum is rounded, in order.
        matmul_ceiling: results of `matmul` beyond it become infinite (32752 where that is observed).
        flush_subnormals: results and constants below 2**-14 become 0.
        activation_step: exp, tanh, sigmoid and their kin are tables, linear within cells of this width; 0: exact.
    """

    reduce_sum: str = "fp32"
    matmul_ceiling: float = np.inf
    flush_subnormals: bool = False
    activation_step: float = 0.0

    def rounded(self, values: np.ndarray) -> np.ndarray:
        """`values` (float32, fresh: may be overwritten) rounded to what fp16 can represent."""
        result = round_fp16(values)
        if self.flush_subnormals:
            result = np.where(np.abs(result) < SMALLEST_NORMAL, np.float32(0), result)
        return result

    def activation(self, function: Callable[[np.ndarray], np.ndarray], x: np.ndarray) -> np.ndarray:
        """`function(x)`, or its table's approximation."""
        step = self.activation_step
        if not step:
            return function(x)
        below = np.floor(x / step) * step
        low, high = function(below), function(below + step)
        return np.where(np.isfinite(x), low + (high - low) * ((x - below) / step), function(x))


def round_fp16(values: np.ndarray) -> np.ndarray:
    """float32 values [any shape] to the nearest fp16 value, ties to even, beyond 65504 infinite; overwrites `values`.

    Adding and subtracting 1.5 * 2**13 times a value's power of two leaves the 11 bits that fp16 has (24 - 13), or,
    where the power is held at 2**-14, the multiples of 2**-24 that subnormals are. It is faster than two casts.
    """
    flags = values.flags
    if flags.c_contiguous and flags.writeable and (done := native.rounded(values)) is not None:
        return done
    if values.size <= _SMALL:
        return values.astype(np.float16).astype(np.float32)
    if not flags.c_contiguous or not flags.writeable:
        values = np.array(values, np.float32, order="C")
    flat = values.reshape(-1)
    for start in range(0, flat.size, _BLOCK):
        _round_block(flat[start : start + _BLOCK])
    return values


def _round_block(x: np.ndarray) -> None:
    bits = x.view(np.uint32)
    magic, signs = _scratch.magic[: x.size], _scratch.signs[: x.size]
    powers = magic.view(np.uint32)
    np.bitwise_and(bits, _SIGN, out=signs)
    np.bitwise_and(bits, _EXPONENT, out=powers)
    large = powers.max() >= _LARGE
    np.maximum(magic, SMALLEST_NORMAL, out=magic)
    if large:
        np.minimum(magic, _TOP, out=magic)
    np.multiply(magic, _LIFT, out=magic)
    x += magic
    x -= magic
    if large:  # beyond 65504 this overflows to infinity and stays there
        x *= _SCALE
        x *= _BACK
    np.bitwise_or(bits, signs, out=bits)  # a negative number that became 0 is -0
