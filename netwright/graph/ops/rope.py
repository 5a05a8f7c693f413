"""Rotary position embedding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from ..builder import Builder
from ..graph import Node, Value
from ..op import Composite
from .binary import Add, Mul, Sub
from .shape import Concat, Split
from .unary import Neg


@dataclass(frozen=True)
class Rope(Composite):
    """Rotate pairs of channels by the angle of their position (Su et al. 2021, eq. 34).

    x [.., S, D], cosine and sine [S, D/2] -> [.., S, D]. Channel i < D/2 is paired with i + D/2; networks that pair
    2i with 2i + 1 have the rows of their query and key matrices permuted when they are read.
    """

    differentiable: ClassVar[tuple[int, ...]] = (0,)

    def expand(self, b: Builder, x: Value, cosine: Value, sine: Value) -> Value:  # type: ignore[override]
        half = x.shape[-1] // 2
        if x.shape[-1] % 2 or cosine.shape != (x.shape[-2], half) or sine.shape != cosine.shape:
            raise ValueError(
                f"rope of {list(x.shape)} with tables {list(cosine.shape)} and {list(sine.shape)}: needs [S, D/2]"
            )
        parts: Any = b(Split(-1, (half, half)), x)
        first, second = parts
        low = b(Sub(), b(Mul(), first, cosine), b(Mul(), second, sine))
        high = b(Add(), b(Mul(), second, cosine), b(Mul(), first, sine))
        return b(Concat(-1), low, high)

    def gradient(self, b: Builder, node: Node, dy: Value) -> tuple[Value | None, ...]:  # type: ignore[override]
        """A rotation's inverse is its transpose: the same, backwards. The tables have no gradient here."""
        _, cosine, sine = node.inputs
        return b(Rope(), dy, cosine, b(Neg(), sine)), None, None
