"""Matrix products."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..builder import Builder
from ..graph import Node, Value
from ..op import Op
from ..types import Type, broadcast
from .common import need_float, need_same_dtype, torch_module, unbroadcast


class Linear(Op):
    """x [..., I], w [O, I], optional bias [O] -> x @ w.T + bias [..., O]."""

    def types(self, x: Type, w: Type, bias: Type | None = None) -> tuple[Type, ...]:  # type: ignore[override]
        need_float(x, self.name)
        need_same_dtype(self.name, x, w, bias)
        if len(w.shape) != 2 or not x.shape or x.shape[-1] != w.shape[1]:
            raise ValueError(
                f"linear of {list(x.shape)} with weights {list(w.shape)}: needs x [..., I] and weights [O, I]"
            )
        if bias is not None and bias.shape != w.shape[:1]:
            raise ValueError(f"linear with {w.shape[0]} outputs has a bias of shape {list(bias.shape)}")
        return (Type((*x.shape[:-1], w.shape[0]), x.dtype),)

    def macs(self, x: Type, w: Type, bias: Type | None = None) -> int:  # type: ignore[override]
        return math.prod(x.shape[:-1]) * w.size

    def numpy(self, x: Any, w: Any, bias: Any = None) -> Any:
        y = x @ w.T
        return y if bias is None else y + bias

    def torch(self, x: Any, w: Any, bias: Any = None) -> Any:
        return torch_module().nn.functional.linear(x, w, bias)

    def gradient(self, b: Builder, node: Node, dy: Value) -> tuple[Value | None, ...]:  # type: ignore[override]
        from .reduce import ReduceSum
        from .shape import Reshape, Transpose

        x, w, *rest = node.inputs
        assert x is not None and w is not None
        rows = math.prod(x.shape[:-1])
        flat_x = b(Reshape((rows, x.shape[-1])), x)
        flat_dy = b(Reshape((rows, w.shape[0])), dy)
        dw = b(Matmul(), b(Transpose((1, 0)), flat_dy), flat_x)
        dx = b(Matmul(), dy, w) if len(x.shape) > 1 else b(Reshape(x.shape), b(Matmul(), flat_dy, w))
        db = b(ReduceSum(axes=(0,), keepdims=False), flat_dy) if rest and rest[0] is not None else None
        return (dx, dw, db) if rest else (dx, dw)


class Matmul(Op):
    """NumPy's matmul: [..., M, K] @ [..., K, N] -> [..., M, N], leading dimensions broadcast."""

    def types(self, x: Type, y: Type) -> tuple[Type, ...]:  # type: ignore[override]
        need_same_dtype(self.name, x, y)
        if len(x.shape) < 2 or len(y.shape) < 2 or x.shape[-1] != y.shape[-2]:
            raise ValueError(f"matmul of {list(x.shape)} and {list(y.shape)}: inner dimensions must agree")
        batch = broadcast(x.shape[:-2], y.shape[:-2])
        return (Type((*batch, x.shape[-2], y.shape[-1]), x.dtype),)

    def macs(self, x: Type, y: Type) -> int:  # type: ignore[override]
        return math.prod(broadcast(x.shape[:-2], y.shape[:-2])) * x.shape[-2] * x.shape[-1] * y.shape[-1]

    def numpy(self, x: Any, y: Any) -> Any:
        return x @ y

    def torch(self, x: Any, y: Any) -> Any:
        return x @ y

    def gradient(self, b: Builder, node: Node, dy: Value) -> tuple[Value, ...]:  # type: ignore[override]
        from .shape import Transpose

        x, y = node.inputs
        assert x is not None and y is not None

        def turned(v: Value) -> Value:
            rank = len(v.shape)
            return b(Transpose((*range(rank - 2), rank - 1, rank - 2)), v)

        dx = unbroadcast(b, b(Matmul(), dy, turned(y)), x.type)
        return dx, unbroadcast(b, b(Matmul(), turned(x), dy), y.type)


@dataclass(frozen=True)
class Einsum(Op):
    """Two-operand Einstein sum with an explicit result, such as `bhqd,bhkd->bhqk`; no repeated letters in a term."""

    equation: str = ""

    def _terms(self) -> tuple[str, str, str]:
        left, arrow, result = self.equation.replace(" ", "").partition("->")
        terms = left.split(",")
        if not arrow or len(terms) != 2 or any(len(set(t)) != len(t) for t in (*terms, result)):
            raise ValueError(f"einsum equation {self.equation!r} is not of the form ij,jk->ik")
        return terms[0], terms[1], result

    def _sizes(self, x: Type, y: Type) -> dict[str, int]:
        first, second, result = self._terms()
        if len(first) != len(x.shape) or len(second) != len(y.shape):
            raise ValueError(f"einsum {self.equation!r} does not match ranks {len(x.shape)} and {len(y.shape)}")
        sizes: dict[str, int] = {}
        for letter, n in (*zip(first, x.shape), *zip(second, y.shape)):
            if sizes.setdefault(letter, n) != n:
                raise ValueError(f"einsum {self.equation!r}: {letter!r} is both {sizes[letter]} and {n}")
        if not set(result) <= set(sizes):
            raise ValueError(f"einsum {self.equation!r}: the result names a letter that no operand has")
        return sizes

    def types(self, x: Type, y: Type) -> tuple[Type, ...]:  # type: ignore[override]
        need_same_dtype(self.name, x, y)
        sizes = self._sizes(x, y)
        return (Type(tuple(sizes[c] for c in self._terms()[2]), x.dtype),)

    def macs(self, x: Type, y: Type) -> int:  # type: ignore[override]
        return math.prod(self._sizes(x, y).values())

    def numpy(self, x: Any, y: Any) -> Any:
        return np.einsum(self.equation, x, y, optimize=True)

    def torch(self, x: Any, y: Any) -> Any:
        return torch_module().einsum(self.equation, x, y)

    def gradient(self, b: Builder, node: Node, dy: Value) -> tuple[Value, ...]:  # type: ignore[override]
        x, y = node.inputs
        assert x is not None and y is not None
        first, second, result = self._terms()
        dx = _einsum_grad(b, dy, result, y, second, x, first)
        return dx, _einsum_grad(b, dy, result, x, first, y, second)


def _einsum_grad(b: Builder, dy: Value, result: str, other: Value, other_term: str, own: Value, own_term: str) -> Value:
    """Letters that only `own` has were summed away: their gradient is constant along them."""
    from .shape import Expand, Reshape

    kept = "".join(c for c in own_term if c in result or c in other_term)
    grad = b(Einsum(f"{result},{other_term}->{kept}"), dy, other)
    if kept != own_term:
        shape = tuple(n if c in kept else 1 for c, n in zip(own_term, own.shape, strict=True))
        grad = b(Expand(own.shape), b(Reshape(shape), grad))
    return grad
