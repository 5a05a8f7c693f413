"""One step of the classic recurrent cells; the state between steps belongs to the graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..builder import Builder
from ..graph import Value
from ..op import Composite
from .binary import Add, Mul, Sub
from .common import scalar
from .linear import Linear
from .shape import Split
from .unary import Clip, Sigmoid, Tanh


@dataclass(frozen=True)
class LSTMCell(Composite):
    """x [N, I], h and c [N, H], w_x [4H, I], w_h [4H, H], bias [4H] -> h', c'. Gates in order i, f, g, o (torch's).

    `clip` bounds the cell's size; 0: no bound.
    """

    clip: float = 0.0

    def expand(  # type: ignore[override]
        self, b: Builder, x: Value, h: Value, c: Value, w_x: Value, w_h: Value, bias: Value | None = None
    ) -> tuple[Value, ...]:
        hidden = h.shape[-1]
        gates = b(Add(), b(Linear(), x, w_x, bias), b(Linear(), h, w_h))
        parts: Any = b(Split(-1, (hidden,) * 4), gates)
        i, f, g, o = parts
        kept = b(Mul(), b(Sigmoid(), f), c)
        after = b(Add(), kept, b(Mul(), b(Sigmoid(), i), b(Tanh(), g)))
        after = b(Clip(-self.clip, self.clip), after) if self.clip else after
        return b(Mul(), b(Sigmoid(), o), b(Tanh(), after)), after


@dataclass(frozen=True)
class GRUCell(Composite):
    """x [N, I], h [N, H], w_x [3H, I], w_h [3H, H], biases [3H] -> h'. Gates in order r, z, n (torch's)."""

    def expand(  # type: ignore[override]
        self, b: Builder, x: Value, h: Value, w_x: Value, w_h: Value, b_x: Value | None = None, b_h: Value | None = None
    ) -> Value:
        hidden = h.shape[-1]
        from_x: Any = b(Split(-1, (hidden,) * 3), b(Linear(), x, w_x, b_x))
        from_h: Any = b(Split(-1, (hidden,) * 3), b(Linear(), h, w_h, b_h))
        (r_x, z_x, n_x), (r_h, z_h, n_h) = from_x, from_h
        reset = b(Sigmoid(), b(Add(), r_x, r_h))
        update = b(Sigmoid(), b(Add(), z_x, z_h))
        fresh = b(Tanh(), b(Add(), n_x, b(Mul(), reset, n_h)))
        kept = b(Mul(), update, h)
        return b(Add(), b(Mul(), b(Sub(), scalar(b, 1.0, x), update), fresh), kept)


@dataclass(frozen=True)
class LIFCell(Composite):
    """Leaky integrate-and-fire: current [N, C], membrane [N, C] -> spikes, membrane after a soft reset.

    membrane' = decay * membrane + current; spike where it reaches `threshold`, which is then subtracted.
    """

    decay: float = 0.9
    threshold: float = 1.0
    alpha: float = 2.0

    def expand(self, b: Builder, current: Value, membrane: Value) -> tuple[Value, ...]:  # type: ignore[override]
        from .unary import Spike

        level = b(Add(), b(Mul(), membrane, scalar(b, self.decay, membrane)), current)
        threshold = scalar(b, self.threshold, membrane)
        spikes = b(Spike(self.alpha), b(Sub(), level, threshold))
        return spikes, b(Sub(), level, b(Mul(), spikes, threshold))
