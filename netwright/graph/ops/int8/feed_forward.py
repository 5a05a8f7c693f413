"""Two linear layers and the table between them, a row at a time: a transformer's MLP as one op.

Source: MCUFormer (Liang et al. 2023, operator library); the position-wise network of Vaswani et al. 2017, section 3.3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ...op import Op
from ...types import UNIT_QUANT, Quant, Type
from .conv import QLinear
from .elementwise import QLookup


@dataclass(frozen=True)
class QFeedForward(Op):
    """x int8 [N, I], weights, scales and bias of I -> H, optional table int8 [256], those of H -> O -> int8 [N, O].

    It computes exactly QLinear(x, hidden), QLookup(inner) and QLinear(inner, out), so that no more hidden features than
    one row's H exist at a time. Without a table `inner` is `hidden`.
    """

    x: Quant = UNIT_QUANT
    hidden: Quant = UNIT_QUANT
    inner: Quant = UNIT_QUANT
    out: Quant = UNIT_QUANT
    hidden_low: int = -128
    hidden_high: int = 127
    low: int = -128
    high: int = 127

    def layers(self) -> tuple[QLinear, QLinear]:
        """The layers before and behind the table."""
        return (
            QLinear(self.x, self.hidden, self.hidden_low, self.hidden_high),
            QLinear(self.inner, self.out, self.low, self.high),
        )

    def types(  # type: ignore[override]
        self, x: Type, w1: Type, s1: Type, b1: Type, table: Type | None, w2: Type, s2: Type, b2: Type
    ) -> tuple[Type, ...]:
        first, second = self.layers()
        (hidden,) = first.types(x, w1, s1, b1)
        if table is not None:
            (hidden,) = QLookup(self.inner).types(hidden, table)
        return second.types(hidden, w2, s2, b2)

    def macs(  # type: ignore[override]
        self, x: Type, w1: Type, s1: Type, b1: Type, table: Type | None, w2: Type, s2: Type, b2: Type
    ) -> int:
        return x.shape[0] * (w1.size + w2.size)

    def numpy(self, x: Any, w1: Any, s1: Any, b1: Any, table: Any, w2: Any, s2: Any, b2: Any) -> Any:
        first, second = self.layers()
        hidden = first.numpy(x, w1, s1, b1)
        return second.numpy(hidden if table is None else QLookup(self.inner).numpy(hidden, table), w2, s2, b2)
