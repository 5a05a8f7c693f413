"""Matrix product of two int8 activations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...op import Op
from ...types import UNIT_QUANT, Quant, Type
from ..linear import Matmul
from .arithmetic import finish, need_int8, quantise_multiplier
from .conv import exact_float


@dataclass(frozen=True)
class QMatmul(Op):
    """x int8 [..., M, K], y int8 [..., K, N] -> int8 [..., M, N]; leading dimensions broadcast (as BATCH_MATMUL)."""

    x: Quant = UNIT_QUANT
    y: Quant = UNIT_QUANT
    out: Quant = UNIT_QUANT

    def types(self, x: Type, y: Type) -> tuple[Type, ...]:  # type: ignore[override]
        need_int8(self.name, x, self.x)
        need_int8(self.name, y, self.y)
        (product,) = Matmul().types(Type(x.shape), Type(y.shape))
        return (Type(product.shape, "int8", self.out),)

    def macs(self, x: Type, y: Type) -> int:  # type: ignore[override]
        return Matmul().macs(Type(x.shape), Type(y.shape))

    def constants(self) -> tuple[int, int]:
        """(multiplier, shift) of the sum; TFLite multiplies the scales in float32."""
        return quantise_multiplier(float(np.float32(self.x.scale) * np.float32(self.y.scale)) / self.out.scale)

    def numpy(self, x: Any, y: Any) -> Any:
        exact = exact_float(x.shape[-1], 128)
        total = (x.astype(exact) - exact(self.x.zero)) @ (y.astype(exact) - exact(self.y.zero))
        return finish(total.astype(np.int64), *self.constants(), self.out, -128, 127)
