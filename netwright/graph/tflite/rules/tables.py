"""Functions of one int8 as tables of all 256 results, computed as TFLite's reference kernels compute each."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ...ops.int8.arithmetic import multiply_by_multiplier, quantise_multiplier, rounding_shift
from ...ops.int8.elementwise import QLookup
from ...ops.int8.fixed_point import FIXED16
from ...types import Quant
from ..importer import CLAMPS, Import, clamped
from ..model import Operator

_ALL = np.arange(-128, 128, dtype=np.int64)


def lookup(imp: Import, op: Operator) -> None:
    """Build the operator as a table."""
    given, out = imp.quant(op, imp.tensor(op, 0)), imp.quant(op, imp.result(op))
    with np.errstate(over="ignore", invalid="ignore"):  # scales too far apart are refused as multipliers
        table = _table(imp, op, given, out)
    held = imp.b.param(f"{imp.name(op)}.table", (256,), dtype="int8", init=None, trainable=False)
    imp.b.store[held.name] = np.clip(table, -128, 127).astype(np.int8)
    imp.put(op, imp.b(QLookup(out, op.code.lower()), imp.value(op, 0), held, name=imp.name(op)))


def _table(imp: Import, op: Operator, given: Quant, out: Quant) -> np.ndarray:
    if op.code == "HARD_SWISH":
        return _hard_swish(given, out)
    if op.code == "LEAKY_RELU":
        return _leaky_relu(given, out, float(op.options["alpha"]))
    if op.code.lower() in CLAMPS:
        return _relu(given, out, *clamped(out, *CLAMPS[op.code.lower()]))
    if op.code in _REAL:
        return _through_floats(_REAL[op.code], given, out)
    if op.code == "GELU":
        return _through_floats(_gelu_tanh if op.options["approximate"] else _gelu, given, out)
    imp.refuse(op, "it has no integer form here")


def _gelu(x: np.float32) -> float:
    return 0.5 * float(x) * math.erfc(-float(x) * math.sqrt(0.5))


def _gelu_tanh(x: np.float32) -> float:
    return 0.5 * float(x) * (1 + math.tanh(math.sqrt(2 / math.pi) * (float(x) + 0.044715 * float(x) ** 3)))


def _elu(x: np.float32) -> np.float32:
    return np.float32(np.expm1(x)) if x < 0 else x


def _logistic(x: np.float32) -> np.float32:
    return np.float32(1) / (np.float32(1) + np.exp(-x))


_REAL: dict[str, Callable[[np.float32], float | np.float32]] = {
    "LOGISTIC": _logistic, "TANH": np.tanh, "ELU": _elu, "EXP": np.exp
}  # fmt: skip


def _through_floats(function: Callable[[np.float32], float | np.float32], given: Quant, out: Quant) -> np.ndarray:
    """Dequantise, apply in float32, quantise with halves away from zero (TFLite `LUTPopulate`)."""
    inverse = np.float32(1) / np.float32(out.scale)
    reals = [np.float32(function(np.float32(given.scale) * np.float32(q - given.zero))) for q in _ALL]
    scaled = np.array([np.float32(r * inverse) for r in reals], np.float64)
    scaled = np.clip(np.nan_to_num(scaled), -1e6, 1e6)
    return np.floor(np.abs(scaled) + 0.5) * np.sign(scaled) + out.zero


def _relu(given: Quant, out: Quant, low: int, high: int) -> np.ndarray:
    """A change of scale and a clamp (TFLite `ReluX`), the scale in float32."""
    scaled = quantise_multiplier(float(np.float32(given.scale) / np.float32(out.scale)))
    return np.clip(multiply_by_multiplier(_ALL - given.zero, *scaled) + out.zero, low, high)


def _leaky_relu(given: Quant, out: Quant, alpha: float) -> np.ndarray:
    """Two multipliers (TFLite `QuantizeLeakyRelu`), scales in float32."""
    kept = quantise_multiplier(float(np.float32(given.scale) / np.float32(out.scale)))
    slope = float(np.float32(given.scale) * np.float32(alpha) / np.float32(out.scale))
    scaled = quantise_multiplier(abs(slope))
    wide = _ALL - given.zero
    below = multiply_by_multiplier(wide, *scaled) * (1 if slope >= 0 else -1)
    return np.where(wide >= 0, multiply_by_multiplier(wide, *kept), below) + out.zero


def _hard_swish(given: Quant, out: Quant) -> np.ndarray:
    """Sixteen-bit fixed point (TFLite `HardSwish`, kernels/internal/reference/hard_swish.h)."""
    fine = np.float32(1 / 128) * np.float32(given.scale)
    multiplier, exponent = _sixteen_bits(float(fine / np.float32(out.scale)))
    relu_multiplier, relu_exponent = _sixteen_bits(float(fine / (np.float32(3) / np.float32(32768))))
    wide = (_ALL - given.zero) << 7
    linear = FIXED16.product(wide, np.int64(multiplier))
    ramp = wide
    if relu_exponent > 0:
        ramp = FIXED16.saturated(ramp << (relu_exponent - 1))
    ramp = FIXED16.product(ramp, np.int64(relu_multiplier))
    if relu_exponent > 0:
        ramp = FIXED16.saturated(ramp << 1)
    elif relu_exponent < 0:
        ramp = rounding_shift(ramp, -relu_exponent)
    ramp = (ramp + (1 << 15)) >> 1
    product = ramp * linear  # the doubling high half without rounding, towards zero
    high = np.minimum(np.abs(product) >> 15, FIXED16.one) * np.sign(product)
    return rounding_shift(high, -exponent) + out.zero


def _sixteen_bits(real: float) -> tuple[int, int]:
    """A multiplier of 16 bits and its exponent, from the one of 32 bits."""
    multiplier, shift = quantise_multiplier(real)
    return min((multiplier + (1 << 15)) >> 16, (1 << 15) - 1), shift
