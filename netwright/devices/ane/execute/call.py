"""What an op's file gets to know of a statement, and what it gives back: result types and a function on arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, TypeAlias

import numpy as np

from netwright.errors import UserError

from ..mil.program import BlobFile, Constant, Statement, TensorType, Value
from .numerics import Numerics

_REQUIRED: Any = object()
FLOATS = ("fp16", "fp32")
MOST_ELEMENTS = 1 << 30
Run: TypeAlias = Callable[..., Any]


@dataclass(frozen=True)
class Kernel:
    """One prepared statement.

    Attributes:
        types: of the results.
        run: the operands' arrays, in the order in which the op asked for them, to the result (several: a tuple).
            Floats come and go as float32.
        exact: the results of `run` hold fp16 values already, or are views of operands: they are not rounded.
    """

    types: tuple[TensorType, ...]
    run: Run
    exact: bool = False


class Call:
    """A statement under preparation: argument types, constant arguments, and the arguments used at run time.

    Attributes:
        operands: name or value of each argument that `run` wants, in the order of the calls of `operand`.
    """

    def __init__(
        self, statement: Statement, types: Mapping[str, TensorType], known: Mapping[str, np.ndarray],
        read: Callable[[Value], np.ndarray], numerics: Numerics,
        halves: Callable[[Any], np.ndarray | None] = lambda argument: None,
    ) -> None:
        self.statement, self.numerics = statement, numerics
        self.operands: list[str | Value] = []
        self._types, self._known, self._read, self._halves = types, known, read, halves
        self._args: dict[str, Any] = {**dict(statement.args), **dict(statement.attributes)}

    def fail(self, message: str) -> NoReturn:
        """Raises the UserError that names the statement."""
        raise UserError(f"{self.statement.name} = {self.statement.op}(...): {message}")

    def has(self, name: str) -> bool:
        """Whether the argument is given."""
        return name in self._args

    def operand(self, name: str) -> TensorType:
        """The type of an argument, which `run` will get. Raises UserError when it is missing."""
        return self._operand(self._argument(name))

    def type_of(self, name: str) -> TensorType:
        """The type of an argument that `run` does not get."""
        return self._type(self._argument(name))

    def operands_of(self, name: str) -> list[TensorType]:
        """The types of an argument that is several: `values=(a, b)`; `run` gets them all."""
        several = self._argument(name)
        return [self._operand(a) for a in (several if isinstance(several, tuple) else (several,))]

    def floats(self, *names: str) -> list[TensorType]:
        """The types of arguments that must be floating and of one element type."""
        types = [self.operand(name) for name in names]
        for name, type in zip(names, types):
            if type.dtype not in FLOATS or type.dtype != types[0].dtype:
                self.fail(f"{name} is {type}, expected fp16 or fp32{', the same for all' if len(types) > 1 else ''}")
        return types

    def constant(self, name: str) -> np.ndarray | None:
        """The argument's array when it is a constant, else None."""
        argument = self._argument(name)
        if isinstance(argument, str):
            return self._known.get(argument)
        return self._read(argument) if isinstance(argument, (Constant, BlobFile)) else None

    def halves(self, name: str) -> np.ndarray | None:
        """The argument as float16 where it is a constant of a weight file that is held as it is there, else None."""
        return self._halves(self._argument(name))

    def const(self, name: str, default: Any = _REQUIRED) -> Any:
        """A constant argument as Python numbers, strings or lists of them; `default` where it is not given."""
        if default is not _REQUIRED and name not in self._args:
            return default
        array = self.constant(name)
        if array is None:
            self.fail(f"{name} must be a constant")
        return array.tolist()

    def ints(self, name: str, count: int | None = None, default: Any = _REQUIRED) -> list[int]:
        """A constant argument as a list of whole numbers, of length `count` if that is given."""
        given = self.const(name, default)
        given = given if isinstance(given, list) else [given]
        if not all(isinstance(v, int) for v in given) or (count is not None and len(given) != count):
            self.fail(f"{name} is {given}, expected {'whole numbers' if count is None else f'{count} whole numbers'}")
        return [int(v) for v in given]

    def axis(self, rank: int, name: str = "axis", default: Any = _REQUIRED) -> int:
        """A constant axis, counted from the front."""
        return self.axes(rank, name, default)[0]

    def axes(self, rank: int, name: str = "axes", default: Any = _REQUIRED) -> tuple[int, ...]:
        """Constant axes, counted from the front; all of them for a default of None."""
        if default is None and name not in self._args:
            return tuple(range(rank))
        axes = [a + rank if a < 0 else a for a in self.ints(name, None, default)]
        if not axes or len(set(axes)) != len(axes) or not all(0 <= a < rank for a in axes):
            self.fail(f"{name} does not name axes of a tensor with {rank}")
        return tuple(axes)

    def room(self, elements: int, what: str) -> None:
        """Raises UserError when what the op needs besides its operands is more than an executor should take."""
        if elements > MOST_ELEMENTS:
            self.fail(f"{what} would have {elements} elements, more than {MOST_ELEMENTS}")

    def broadcast(self, *types: TensorType) -> tuple[int, ...]:
        """The common shape. Raises UserError when there is none."""
        try:
            return np.broadcast_shapes(*[t.shape for t in types])
        except ValueError:
            self.fail(f"the shapes of {' and '.join(map(str, types))} do not fit together")

    def _argument(self, name: str) -> Any:
        if name not in self._args:
            self.fail(f"the argument {name} is missing")
        return self._args[name]

    def _operand(self, argument: str | Value) -> TensorType:
        type = self._type(argument)
        self.operands.append(argument)
        return type

    def _type(self, argument: Any) -> TensorType:
        if isinstance(argument, str):
            if argument not in self._types:
                self.fail(f"no value is called {argument!r} before it")
            return self._types[argument]
        if isinstance(argument, (Constant, BlobFile)):
            return argument.type
        self.fail("expected the name of a value")
