"""Arc tangent and remainders: what imported networks need beside the usual arithmetic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..builder import Builder
from ..graph import Node, Value
from ..types import FLOATS, Type
from .binary import Add, Div, Mul, _Binary
from .common import scalar, torch_module, unbroadcast
from .unary import _Unary


class Atan(_Unary):
    """Arc tangent, in radians."""

    def numpy(self, x: Any) -> Any:
        return np.arctan(x)

    def torch(self, x: Any) -> Any:
        return x.atan()

    def gradient(self, b: Builder, node: Node, dy: Value) -> tuple[Value, ...]:  # type: ignore[override]
        x = node.inputs[0]
        return (b(Div(), dy, b(Add(), scalar(b, 1.0, dy), b(Mul(), x, x))),)


@dataclass(frozen=True)
class Mod(_Binary):
    """Remainder of x / y, of y's sign, or with `fmod` of x's. Its gradient is x's; y's is not defined."""

    fmod: bool = False

    def types(self, x: Type, y: Type) -> tuple[Type, ...]:  # type: ignore[override]
        if x.dtype in FLOATS and not self.fmod:
            raise ValueError("mod of floats is defined with fmod only")
        return super().types(x, y)

    def numpy(self, x: Any, y: Any) -> Any:
        return np.fmod(x, y) if self.fmod else np.mod(x, y)

    def torch(self, x: Any, y: Any) -> Any:
        torch = torch_module()
        return torch.fmod(x, y) if self.fmod else torch.remainder(x, y)

    def gradient(self, b: Builder, node: Node, dy: Value) -> tuple[Value | None, ...]:  # type: ignore[override]
        x = node.inputs[0]
        assert x is not None
        return unbroadcast(b, dy, x.type), None
