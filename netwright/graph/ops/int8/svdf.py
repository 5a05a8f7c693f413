"""A rank-decomposed dense layer over time, on integers (Nakkiran et al. 2015)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...op import Op
from ...types import UNIT_QUANT, Quant, Type
from .arithmetic import finish, multiply_by_multiplier, quantise_multiplier


@dataclass(frozen=True)
class QSvdf(Op):
    """x int8 [N, I], state [N, F * M], w int8 [F, I], time [F, M] of the state's dtype, bias int32 [F / rank]
    -> y int8 [N, F / rank], state after this step.

    Each of F filters keeps the last M projections of x (the newest last) and weights them over time; `rank`
    neighbouring filters make one unit. Source: TensorFlow Lite's `EvalIntegerSVDF` (kernels/internal/reference/svdf.h).
    """

    rank: int = 1
    x: Quant = UNIT_QUANT
    state: Quant = UNIT_QUANT
    out: Quant = UNIT_QUANT
    w_scale: float = 1.0
    time_scale: float = 1.0

    def types(self, x: Type, state: Type, w: Type, time: Type, bias: Type) -> tuple[Type, ...]:  # type: ignore[override]
        filters = w.shape[0] if w.shape else 0
        memory = time.shape[1] if len(time.shape) == 2 else 0
        if (
            (x.dtype, len(x.shape), x.quant) != ("int8", 2, self.x)
            or (w.shape, time.shape) != ((filters, x.shape[1]), (filters, memory))
            or state.shape != (x.shape[0], filters * memory)
            or state.dtype not in ("int8", "int16")
            or self.rank < 1
            or filters % self.rank
            or bias != Type((filters // self.rank,), "int32")
        ):
            raise ValueError(f"q_svdf of {x}, state {state}, weights {w} and {time}, bias {bias}, rank {self.rank}")
        return (Type((x.shape[0], filters // self.rank), "int8", self.out), state)

    def macs(self, x: Type, state: Type, w: Type, time: Type, bias: Type) -> int:  # type: ignore[override]
        return x.shape[0] * (w.size + time.size)

    def constants(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """(multiplier, shift) into the state, and out of it. TFLite computes the scales in float32."""
        x, state, out, w, time = map(
            np.float32, (self.x.scale, self.state.scale, self.out.scale, self.w_scale, self.time_scale)
        )
        return quantise_multiplier(float(x * w / state)), quantise_multiplier(float(state * time / out))

    def numpy(self, x: Any, state: Any, w: Any, time: Any, bias: Any) -> Any:
        into, out = self.constants()
        n, (filters, memory) = x.shape[0], time.shape
        limit = np.iinfo(state.dtype)
        projected = (x.astype(np.int64) - self.x.zero) @ w.T.astype(np.int64)
        newest = np.clip(multiply_by_multiplier(projected, *into), limit.min, limit.max) + self.state.zero
        # the kernel shifts the whole buffer by one, over the ends of rows, which the newest then covers
        kept = np.concatenate([state[:, 1:], state[:, :1]], axis=1).reshape(n, filters, memory)
        kept[:, :, -1] = newest
        weighted = ((kept.astype(np.int64) - self.state.zero) * time.astype(np.int64)).sum(-1)
        total = weighted.reshape(n, -1, self.rank).sum(-1) + bias
        return finish(total, *out, self.out, -128, 127), kept.reshape(n, -1)
