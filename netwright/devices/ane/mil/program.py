"""A MIL program as plain immutable data (as Orion emits it, arXiv 2603.06728).

    x = Variable("x", TensorType("fp16", (1, 768, 1, 256)))
    y = Variable("y", x.type)
    relu = Statement((y,), "relu", (("x", "x"),), (("name", string("y")),))
    Program(functions=(Function("main", "ios18", (x,), (relu,), ("y",)),))

Nothing here checks that names are defined or that types agree: a program that breaks a rule must be representable, or
no rule could be shown to catch it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from math import prod
from typing import TypeAlias

import numpy as np

DTYPES: dict[str, np.dtype | None] = {
    "fp16": np.dtype(np.float16),
    "fp32": np.dtype(np.float32),
    "fp64": np.dtype(np.float64),
    "int8": np.dtype(np.int8),
    "int16": np.dtype(np.int16),
    "int32": np.dtype(np.int32),
    "int64": np.dtype(np.int64),
    "uint8": np.dtype(np.uint8),
    "uint16": np.dtype(np.uint16),
    "uint32": np.dtype(np.uint32),
    "uint64": np.dtype(np.uint64),
    "bool": np.dtype(np.bool_),
    "string": None,
}  # MIL's name -> NumPy's; strings have none


@dataclass(frozen=True)
class TensorType:
    """`tensor<fp16, [1,768,1,256]>`, or a scalar such as `fp16` where the shape is empty.

    Attributes:
        dtype: a key of `DTYPES`.
        shape: sizes of the axes; all static.
    """

    dtype: str
    shape: tuple[int, ...] = ()

    @property
    def size(self) -> int:
        """Number of elements."""
        return prod(self.shape)

    @property
    def bytes(self) -> int:
        """Bytes of the elements; 0 for strings."""
        dtype = DTYPES[self.dtype]
        return 0 if dtype is None else self.size * dtype.itemsize

    def __str__(self) -> str:
        return f"tensor<{self.dtype}, [{','.join(map(str, self.shape))}]>" if self.shape else self.dtype


@dataclass(frozen=True)
class Constant:
    """A value that stands in the text, such as `fp16(0.125)` or `tensor<int32, [4]>([0,1,3,2])`.

    Attributes:
        values: the elements in row-major order, as Python numbers (those of fp16 and fp32 already rounded to that
            type), booleans or strings.
        words: fp16 elements are spelled as 16-bit hexadecimal words (`0x3c00` is 1.0) rather than decimals.
    """

    type: TensorType
    values: tuple[float | int | bool | str, ...]
    words: bool = False

    @classmethod
    def of(cls, array: np.ndarray | float | int, dtype: str, words: bool = False) -> Constant:
        """A constant with the elements and shape of `array`, converted (floats: rounded) to `dtype`."""
        with np.errstate(over="ignore"):
            converted = np.asarray(array).astype(DTYPES[dtype])
        return cls(TensorType(dtype, converted.shape), tuple(converted.reshape(-1).tolist()), words)

    def numpy(self) -> np.ndarray:
        """The elements as an array of the constant's shape; strings as objects."""
        dtype = DTYPES[self.type.dtype]
        return np.array(self.values, object if dtype is None else dtype).reshape(self.type.shape)


@dataclass(frozen=True)
class BlobFile:
    """A value in a weight file: `BLOBFILE(path=string("@model_path/weights.bin"), offset=uint64(64))`.

    Attributes:
        path: `@model_path` stands for the folder of the program's text.
        offset: byte offset of the chunk's header (not of its data) in the file.
    """

    type: TensorType
    path: str
    offset: int


@dataclass(frozen=True)
class Dictionary:
    """`dict<string, string>({{"key", "value"}, ...})`; found in a program's attributes."""

    items: tuple[tuple[str, str], ...]


Value: TypeAlias = Constant | BlobFile | Dictionary
Argument: TypeAlias = str | Value | tuple[str | Value, ...]  # a name, a value in place, or several: values=(a, b)


@dataclass(frozen=True)
class Variable:
    """A name with its type: an input of a function, or a result of a statement."""

    name: str
    type: TensorType


@dataclass(frozen=True)
class Statement:
    """`TYPE name = op(arg=ref, ...)[name=string("name")];`

    Attributes:
        results: one variable, or several (`split`).
        op: `const`, `conv`, `add`, ...
        args: argument name and what is given for it, in the order of the text.
        attributes: what stands in brackets: `name`, and `val` of a `const`.
    """

    results: tuple[Variable, ...]
    op: str
    args: tuple[tuple[str, Argument], ...] = ()
    attributes: tuple[tuple[str, Value], ...] = ()

    @property
    def name(self) -> str:
        """The name of the first result."""
        return self.results[0].name

    def attribute(self, key: str) -> Value | None:
        """The attribute called `key`, or None."""
        return next((value for name, value in self.attributes if name == key), None)

    def references(self) -> tuple[str, ...]:
        """Names of the variables that the arguments use, in order, repeats kept."""
        found: list[str] = []
        for _, argument in self.args:
            several = argument if isinstance(argument, tuple) else (argument,)
            found += [a for a in several if isinstance(a, str)]
        return tuple(found)


@dataclass(frozen=True)
class Function:
    """`func main<ios18>(TYPE x, ...) { statements } -> (y, ...);`

    Attributes:
        opset: `ios18` and so on.
        outputs: names of returned variables, in the order of the text.
    """

    name: str
    opset: str
    inputs: tuple[Variable, ...]
    statements: tuple[Statement, ...]
    outputs: tuple[str, ...]

    def types(self) -> dict[str, TensorType]:
        """Name -> type of every input and result; of two with one name, the last."""
        return {v.name: v.type for v in self.inputs} | {v.name: v.type for s in self.statements for v in s.results}

    def histogram(self) -> Counter[str]:
        """How often each op occurs."""
        return Counter(s.op for s in self.statements)


BUILD_INFO = Dictionary(
    (
        ("coremlc-component-MIL", "3510.2.1"),
        ("coremlc-version", "3505.4.1"),
        ("coremltools-component-milinternal", ""),
        ("coremltools-version", "9.0"),
    )
)  # the tool versions that the device's compiler expects in a program's head


@dataclass(frozen=True)
class Program:
    """`program(1.3) [attributes] { functions }`"""

    functions: tuple[Function, ...]
    version: str = "1.3"
    attributes: tuple[tuple[str, Value], ...] = field(default=(("buildInfo", BUILD_INFO),))

    def function(self, name: str = "main") -> Function:
        """The function called `name`. Raises KeyError when there is none."""
        for function in self.functions:
            if function.name == name:
                return function
        raise KeyError(name)


def string(text: str) -> Constant:
    """`string("text")`"""
    return Constant(TensorType("string"), (text,))


def boolean(value: bool) -> Constant:
    """`bool(true)` or `bool(false)`"""
    return Constant(TensorType("bool"), (value,))
