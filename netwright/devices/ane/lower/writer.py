"""Statements of MIL, one after the other: names, types, constants in the text and constants in weight files."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from ..execute import result_types
from ..mil import BlobFile, Constant, Statement, TensorType, Variable, boolean, string
from ..weights import ALIGNMENT, FP16_MAX, MODEL_PATH

Read: TypeAlias = Callable[[], np.ndarray]
PACKED = "weights/weight.bin"


@dataclass(frozen=True)
class Weight:
    """A constant in a weight file: where the text refers to it, and how to get its elements [blob.type.shape]."""

    name: str
    blob: BlobFile
    read: Read


def cleaned(name: str) -> str:
    """A name as MIL can spell it."""
    clean = re.sub(r"[^A-Za-z0-9_]+", "_", name).strip("_")
    return clean if clean and not clean[0].isdigit() else f"v_{clean}"


class Writer:
    """Writes the body of a function. Result types are inferred, so a mistake is found where it is made."""

    def __init__(self, separate: bool) -> None:
        self.statements: list[Statement] = []
        self.types: dict[str, TensorType] = {}
        self.weights: list[Weight] = []
        self.clamped: list[str] = []  # constants in the text that fp16 cannot hold
        self._separate = separate
        self._known: dict[str, Constant] = {}
        self._shared: dict[Any, str] = {}
        self._taken: set[str] = set()
        self._offset = ALIGNMENT

    def unique(self, name: str) -> str:
        """A name that is free from now on taken."""
        base = found = cleaned(name)
        count = 1
        while found in self._taken:
            found, count = f"{base}_{count}", count + 1
        self._taken.add(found)
        return found

    def declare(self, name: str, type: TensorType) -> str:
        """Enters an input."""
        self.types[name] = type
        return name

    def op(self, op: str, name: str, **args: Any) -> str:
        """One statement with one result, whose name is returned.

        A string is the name of a value (or, where none is called so, a string); numbers, booleans and lists of them
        become named constants (R15): floats fp16, whole numbers int32.
        """
        given = tuple((key, self._argument(key, value)) for key, value in args.items())
        result = self.unique(name)
        sketch = Statement((Variable(result, TensorType("fp16")),), op, given)
        (type,) = result_types(sketch, self.types, self._known)
        self._state(Variable(result, type), op, given)
        return result

    def scalar(self, value: float) -> str:
        """An fp16 number as a named constant; beyond +-65504 it is clamped (R20)."""
        held = float(np.clip(value, -FP16_MAX, FP16_MAX))
        if held != value:
            self.clamped.append(f"{value:g}")
        return self._constant("k", Constant.of(float(np.float32(held)), "fp16"))

    def weight(self, name: str, shape: tuple[int, ...], read: Read, key: Any = None) -> str:
        """A constant fp16 [shape] in a weight file; one with a `key` that was met before is used again."""
        if key is not None and (key, shape) in self._shared:
            return self._shared[key, shape]
        result = self.unique(name)
        type = TensorType("fp16", shape)
        if self._separate:
            blob = BlobFile(type, f"{MODEL_PATH}weights/{result}.bin", ALIGNMENT)
        else:
            blob = BlobFile(type, MODEL_PATH + PACKED, self._offset)
            self._offset += ALIGNMENT + type.bytes + -type.bytes % ALIGNMENT
        self.weights.append(Weight(result, blob, lambda: np.asarray(read()).reshape(shape)))
        self.types[result] = type
        self.statements.append(
            Statement((Variable(result, type),), "const", (), (("name", string(result)), ("val", blob)))
        )
        if key is not None:
            self._shared[key, shape] = result
        return result

    def _state(self, result: Variable, op: str, args: tuple[Any, ...]) -> None:
        self.types[result.name] = result.type
        self.statements.append(Statement((result,), op, args, (("name", string(result.name)),)))

    def _argument(self, key: str, value: Any) -> Any:
        if isinstance(value, str):
            return value if value in self.types else self._constant(key, string(value))
        if isinstance(value, tuple):
            return value
        if isinstance(value, bool):
            return self._constant(key, boolean(value))
        if isinstance(value, float):
            return self.scalar(value)
        if isinstance(value, list) and value and isinstance(value[0], bool):
            return self._constant(key, Constant.of(np.array(value), "bool"))
        return self._constant(key, Constant.of(np.array(value), "int32"))

    def _constant(self, name: str, value: Constant) -> str:
        if value not in self._shared:
            result = self._shared[value] = self.unique(name)
            self.types[result] = value.type
            self._known[result] = value
            self.statements.append(
                Statement((Variable(result, value.type),), "const", (), (("name", string(result)), ("val", value)))
            )
        return self._shared[value]
