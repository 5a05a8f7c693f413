"""A whole sequence through an integer LSTM: int8 activations, int16 cell, gates in gemmlowp's fixed point.

Source: TensorFlow Lite's `EvalInteger8x8_16` (kernels/lstm_eval.cc) without peepholes, layer norm and projection.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...op import Op
from ...types import UNIT_QUANT, Quant, Type
from .arithmetic import multiply_by_multiplier, quantise_multiplier, rounding_shift
from .fixed_point import FIXED16

GATE_BITS = 3  # integer bits of a gate before its activation
_FOUR = (0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class QLstm(Op):
    """x int8 [N, T, I], h int8 [N, H], c int16 [N, H], w_x int8 [4H, I], w_h int8 [4H, H], bias int32 [4H]
    -> y int8 [N, T, H], h, c after the last step.

    Gates in order i, f, g, o. `x_scales`, `h_scales`: the weights' scales, one a gate. `h` is the quantisation of the
    state, `out` that of the result before it is copied there; `cell_bits`: c is worth raw * 2^(cell_bits - 15).
    """

    x: Quant = UNIT_QUANT
    h: Quant = UNIT_QUANT
    out: Quant = UNIT_QUANT
    x_scales: tuple[float, ...] = _FOUR
    h_scales: tuple[float, ...] = _FOUR
    cell_bits: int = 4
    clip: int = 0  # of the cell, in its integers; 0: none

    def types(self, x: Type, h: Type, c: Type, w_x: Type, w_h: Type, bias: Type) -> tuple[Type, ...]:  # type: ignore[override]
        rows = w_x.shape[:1]
        hidden = rows[0] // 4 if rows else 0
        state = (x.shape[0], hidden) if x.shape else ()
        if (
            (x.dtype, len(x.shape), x.quant, w_x.shape) != ("int8", 3, self.x, (4 * hidden, x.shape[-1]))
            or (h, c) != (Type(state, "int8", self.h), c.with_shape(state))
            or c.dtype != "int16"
            or (w_h.shape, bias) != ((4 * hidden, hidden), Type(rows, "int32"))
        ):
            raise ValueError(f"q_lstm of {x}, state {h} and {c}, weights {w_x} and {w_h}, bias {bias}")
        if not -11 <= self.cell_bits <= 6:
            raise ValueError(f"q_lstm's cell has -11 to 6 integer bits, not {self.cell_bits}")
        return (Type((*x.shape[:2], hidden), "int8", self.out), h, c)

    def macs(self, x: Type, h: Type, c: Type, w_x: Type, w_h: Type, bias: Type) -> int:  # type: ignore[override]
        return x.shape[0] * x.shape[1] * (w_x.size + w_h.size)

    def multipliers(self) -> tuple[list[tuple[int, int]], list[tuple[int, int]], tuple[int, int]]:
        """(multiplier, shift) of each gate's two products, and of the result. TFLite computes scales in float32."""
        gate = np.float32(2.0**-12)

        def pairs(scales: tuple[float, ...], quant: Quant) -> list[tuple[int, int]]:
            return [quantise_multiplier(float(np.float32(s) * np.float32(quant.scale) / gate)) for s in scales]

        result = np.float32(2.0**-15) / np.float32(self.out.scale) * np.float32(2.0**-15)
        return pairs(self.x_scales, self.x), pairs(self.h_scales, self.h), quantise_multiplier(float(result))

    def biases(self, w_x: Any, w_h: Any, bias: Any) -> tuple[np.ndarray, np.ndarray]:
        """What each product starts from: zero points times row sums folded in, int64 [4H]."""
        given = np.asarray(bias, np.int64) - self.x.zero * w_x.astype(np.int64).sum(1)
        return given, -self.h.zero * w_h.astype(np.int64).sum(1)

    def numpy(self, x: Any, h: Any, c: Any, w_x: Any, w_h: Any, bias: Any) -> Any:
        from_x, from_h, result = self.multipliers()
        hidden = h.shape[1]
        x_bias, h_bias = self.biases(w_x, w_h, bias)
        cell, state = c.astype(np.int64), h
        wide_x, wide_h = w_x.astype(np.float64).T, w_h.astype(np.float64).T  # sums of int8 products are exact
        outputs = []
        for step in range(x.shape[1]):
            given = (x[:, step].astype(np.float64) @ wide_x).astype(np.int64) + x_bias
            kept = (state.astype(np.float64) @ wide_h).astype(np.int64) + h_bias
            gates = []
            for g in range(4):
                part = slice(g * hidden, (g + 1) * hidden)
                value = _int16(multiply_by_multiplier(given[:, part], *from_x[g]))
                gates.append(_int16(value + multiply_by_multiplier(kept[:, part], *from_h[g])))
            i, f, o = (FIXED16.logistic(gates[g], GATE_BITS) for g in (0, 1, 3))
            fresh = FIXED16.tanh(gates[2], GATE_BITS)
            cell = _int16(rounding_shift(f * cell, 15) + rounding_shift(i * fresh, 15 + self.cell_bits))
            if self.clip:
                cell = np.clip(cell, -self.clip, self.clip)
            product = o * FIXED16.tanh(cell, self.cell_bits)
            value = multiply_by_multiplier(product, *result) + self.out.zero
            state = np.clip(value, -128, 127).astype(np.int8)
            outputs.append(state)
        return np.stack(outputs, 1), state, cell.astype(np.int16)


def _int16(a: np.ndarray) -> np.ndarray:
    return np.clip(a, -(1 << 15), (1 << 15) - 1)
