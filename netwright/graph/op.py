"""The base of every operation. One op is one frozen dataclass: attributes, types, MACs, NumPy, torch, gradient.

A primitive defines `types`, `numpy`, `torch` and, where it is differentiable, `gradient`. A `Composite` defines only
`expand`, in terms of other ops; everything else follows from the expansion.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar

from .types import Quant

if TYPE_CHECKING:
    from .builder import Builder
    from .graph import Node, Value
    from .types import Type

OPS: dict[str, type[Op]] = {}


@dataclass(frozen=True)
class Op:
    """An operation with its attributes; immutable, hashable, compared by value."""

    name: ClassVar[str] = "op"
    is_view: ClassVar[bool] = False  # the result is the operand's bytes, read otherwise
    in_place: ClassVar[bool] = False  # element i of the result needs element i of the operands only
    updates: ClassVar[tuple[int, ...]] = ()  # result i may be written over operand updates[i] when that is its state
    training_differs: ClassVar[bool] = False  # batch norm, dropout: `torch_training` replaces `torch` while training

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not cls.__name__.startswith("_") and cls.__name__ != "Composite":
            cls.name = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", cls.__name__).lower()
            OPS[cls.name] = cls

    def types(self, *inputs: Type) -> tuple[Type, ...]:
        """Result types for input types. Raises ValueError saying what was wrong with which input."""
        raise NotImplementedError(f"{self.name} has no type rule")

    def macs(self, *inputs: Type) -> int:
        """Multiply-accumulates for these input types (0 for ops that are not counted by convention)."""
        return 0

    def numpy(self, *inputs: Any) -> Any:
        """Reference result: one array, or a tuple of arrays for several outputs."""
        raise NotImplementedError(f"{self.name} has no NumPy reference")

    def torch(self, *inputs: Any) -> Any:
        """The same with torch tensors."""
        raise NotImplementedError(f"{self.name} has no torch evaluation")

    def gradient(self, b: Builder, node: Node, *grads: Value | None) -> tuple[Value | None, ...]:
        """Gradient with respect to each input, built in `b`, from the gradients of the outputs (None: zero)."""
        raise ValueError(f"{self.name} has no gradient: it is not differentiable")

    def attributes(self) -> dict[str, Any]:
        """Attribute name -> value, in declaration order, defaults left out; a float given as an int is a float."""
        given = {f: getattr(self, f.name) for f in fields(self)}
        return {
            f.name: float(value) if isinstance(f.default, float) else value
            for f, value in given.items()
            if value != f.default
        }

    def __str__(self) -> str:
        return f"{self.name}({', '.join(f'{k}={v!r}' for k, v in self.attributes().items())})"


@dataclass(frozen=True)
class Composite(Op):
    """An op defined by its expansion into primitives; a device may take it whole.

    `differentiable`: operands for which the op has a gradient rule of its own, so that a gradient may keep it whole;
    where others are wanted too, its expansion is differentiated.
    """

    differentiable: ClassVar[tuple[int, ...]] = ()

    def expand(self, b: Builder, *inputs: Value | None) -> Value | tuple[Value, ...]:
        """Build the op out of other ops."""
        raise NotImplementedError(f"{self.name} has no expansion")

    def _graph(self, inputs: tuple[Type | None, ...]) -> Any:
        from .composite import expansion

        return expansion(self, inputs)

    def types(self, *inputs: Type) -> tuple[Type, ...]:
        return tuple(v.type for v in self._graph(inputs).outputs)

    def macs(self, *inputs: Type) -> int:
        return int(self._graph(inputs).macs)

    def numpy(self, *inputs: Any) -> Any:
        from .composite import run_numpy

        return run_numpy(self, inputs)

    def torch(self, *inputs: Any) -> Any:
        from .composite import run_torch

        return run_torch(self, inputs)


def build_op(name: str, attributes: dict[str, Any]) -> Op:
    """The op called `name` with these attributes. Raises ValueError for an unknown name or attribute."""
    if name not in OPS:
        raise ValueError(f"unknown op {name!r}")
    cls = OPS[name]
    for f in fields(cls):
        if isinstance(f.default, Quant) and f.name in attributes:
            attributes[f.name] = Quant(*attributes[f.name])
    try:
        return cls(**attributes)
    except TypeError as error:
        raise ValueError(f"op {name!r}: {error}") from None
