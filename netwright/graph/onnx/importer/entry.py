"""What an ONNX name stands for while a model is read: a value of the graph, or an array that is known already."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...graph import Value
from ...types import Type


class Known:
    """An array known at import: an initialiser, or what was computed from them. Compared by identity.

    `name` is what a parameter holding it will be called; `weight` says that it comes from a floating-point initialiser,
    so that training may change it. It becomes a parameter only when a node of the graph reads it.
    """

    __slots__ = ("_frozen", "array", "name", "type", "weight")

    def __init__(self, array: Any, name: str = "", weight: bool = False) -> None:
        self.array = np.asarray(array)
        self.name = name
        self.weight = weight
        self.type = Type(self.array.shape, str(self.array.dtype))
        self._frozen: Known | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    @property
    def dtype(self) -> str:
        return self.type.dtype

    def frozen(self) -> Known:
        """The same array, left alone by training."""
        if self._frozen is None:
            self._frozen = Known(self.array, self.name) if self.weight else self
        return self._frozen


class Sequence:
    """ONNX's list of tensors: it exists at import only, where it is taken apart again."""

    __slots__ = ("entries",)

    def __init__(self, entries: tuple[Entry, ...]) -> None:
        self.entries = entries


Entry = Value | Known
Result = Entry | np.ndarray | tuple["Entry | np.ndarray | None", ...]
