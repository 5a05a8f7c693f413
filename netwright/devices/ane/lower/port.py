"""The ends of a program: how an array of the Graph is laid out as an input or output of MIL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from netwright.graph.types import Type, parse_type

from ..mil import DTYPES, TensorType
from .layout import permuted


@dataclass(frozen=True)
class Port:
    """An input or output: what the Graph calls it, what the program calls it, and how one is laid out as the other.

    Attributes:
        order: the Graph's axes in memory order; the host transposes to it, then reshapes to `type.shape`.
    """

    name: str
    variable: str
    graph: Type
    order: tuple[int, ...]
    type: TensorType

    def inwards(self, array: np.ndarray) -> np.ndarray:
        """The Graph's array [graph.shape] as the program takes it [type.shape], element type unchanged."""
        return np.ascontiguousarray(array.transpose(self.order)).reshape(self.type.shape)

    def outwards(self, array: np.ndarray) -> np.ndarray:
        """Inverse of `inwards`."""
        back = np.argsort(self.order) if self.order else ()
        return np.ascontiguousarray(array.reshape(permuted(self.graph.shape, self.order)).transpose(tuple(back)))

    def to_json(self) -> dict[str, Any]:
        """As the manifest of a compiled program has it."""
        return {
            "name": self.name, "variable": self.variable, "graph": str(self.graph), "order": list(self.order),
            "dtype": self.type.dtype, "shape": list(self.type.shape),
        }

    @classmethod
    def from_json(cls, table: Mapping[str, Any]) -> Port:
        """Inverse of `to_json`. Raises ValueError, KeyError or TypeError for anything else."""
        graph, order = parse_type(table["graph"]), tuple(int(a) for a in table["order"])
        type = TensorType(str(table["dtype"]), tuple(int(n) for n in table["shape"]))
        if sorted(order) != list(range(len(graph.shape))) or type.size != graph.size or type.dtype not in DTYPES:
            raise ValueError(f"port {table['name']}: its layout does not fit its type")
        return cls(str(table["name"]), str(table["variable"]), graph, order, type)
