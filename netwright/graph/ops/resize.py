"""Changing resolution: x [N, C, *spatial] -> [N, C, *size]."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..builder import Builder
from ..graph import Node, Value
from ..op import Op
from ..types import Type
from .common import need_float, torch_module

_COORDINATES = ("half_pixel", "asymmetric", "align_corners")


@dataclass(frozen=True)
class Resize(Op):
    """Nearest or (bi)linear; `coordinates` as ONNX: half_pixel, asymmetric or align_corners.

    Separable: one matrix an axis.
    """

    size: tuple[int, ...] = ()
    mode: str = "nearest"
    coordinates: str = "half_pixel"

    def types(self, x: Type) -> tuple[Type, ...]:  # type: ignore[override]
        if len(self.size) != len(x.shape) - 2 or min(self.size, default=0) < 1:
            raise ValueError(f"resize of {list(x.shape)} to {self.size}")
        if self.mode not in ("nearest", "linear") or self.coordinates not in _COORDINATES:
            raise ValueError(f"resize {self.mode!r} with {self.coordinates!r} coordinates")
        if self.mode == "linear":
            need_float(x, self.name)
        return (Type((*x.shape[:2], *self.size), x.dtype, x.quant),)

    def positions(self, given: int, wanted: int) -> np.ndarray:
        """Where each output element lies in input coordinates."""
        steps = np.arange(wanted, dtype=np.float64)
        if self.coordinates == "align_corners":
            return steps * ((given - 1) / (wanted - 1) if wanted > 1 else 0.0)
        scale = given / wanted
        return (steps + 0.5) * scale - 0.5 if self.coordinates == "half_pixel" else steps * scale

    def rows(self, given: int, wanted: int) -> np.ndarray:
        """Nearest: the input row of each output row; halves round down, asymmetric coordinates are floored."""
        at = self.positions(given, wanted)
        near = np.floor(at) if self.coordinates == "asymmetric" else np.ceil(at - 0.5)
        return np.clip(near, 0, given - 1).astype(np.int64)

    def matrix(self, given: int, wanted: int, dtype: str) -> np.ndarray:
        """[wanted, given]: each output row as a weighted sum of input rows."""
        matrix = np.zeros((wanted, given), dtype)
        steps = np.arange(wanted)
        if self.mode == "nearest":
            matrix[steps, self.rows(given, wanted)] = 1
            return matrix
        at = np.clip(self.positions(given, wanted), 0, given - 1)
        low = np.floor(at).astype(int)
        high = np.minimum(low + 1, given - 1)
        np.add.at(matrix, (steps, low), 1 - (at - low))
        np.add.at(matrix, (steps, high), at - low)
        return matrix

    def numpy(self, x: Any) -> Any:
        for axis, wanted in enumerate(self.size, start=2):
            given = x.shape[axis]
            if self.mode == "nearest":
                x = np.take(x, self.rows(given, wanted), axis=axis)
            else:
                matrix = self.matrix(given, wanted, str(x.dtype))
                x = np.moveaxis(np.moveaxis(x, axis, -1) @ matrix.T, -1, axis)
        return x

    def torch(self, x: Any) -> Any:
        torch = torch_module()
        for axis, wanted in enumerate(self.size, start=2):
            given = x.shape[axis]
            if self.mode == "nearest":
                x = x.index_select(axis, torch.from_numpy(self.rows(given, wanted)).to(x.device))
            else:
                matrix = torch.from_numpy(self.matrix(given, wanted, str(x.dtype).removeprefix("torch."))).to(x.device)
                x = (x.movedim(axis, -1) @ matrix.T).movedim(-1, axis)
        return x

    def gradient(self, b: Builder, node: Node, dy: Value) -> tuple[Value, ...]:  # type: ignore[override]
        from .linear import Matmul
        from .shape import Transpose

        (x,) = node.inputs
        assert x is not None
        grad = dy
        for axis in range(2, len(x.shape)):
            matrix = b.constant(self.matrix(x.shape[axis], dy.shape[axis], x.dtype), "resize", x.dtype)
            order = [i for i in range(len(x.shape)) if i != axis] + [axis]
            back = tuple(order.index(i) for i in range(len(order)))
            grad = b(Transpose(back), b(Matmul(), b(Transpose(tuple(order)), grad), matrix))
        return (grad,)
