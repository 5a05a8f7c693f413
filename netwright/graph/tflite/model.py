"""A TFLite file as plain data: subgraphs of tensors and operators, checked as far as reading them safely needs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..builder import MOST_DIMENSIONS
from .flatbuffer import Damaged, Table
from .schema import OPERATORS, OPTIONS, TENSOR_TYPES

IDENTIFIER = b"TFL3"
LARGEST = 1 << 30  # elements of one tensor
LONGEST_NAME = 500
_READABLE = frozenset(("float32", "float16", "float64", "int8", "uint8", "int16", "int32", "int64", "bool"))


@dataclass(frozen=True, eq=False)
class Tensor:
    """One tensor. `scales` and `zeros` are those of its quantisation, one or one an index of `axis`."""

    index: int
    name: str
    shape: tuple[int, ...]
    dtype: str
    scales: np.ndarray | None
    zeros: np.ndarray | None
    axis: int
    data: np.ndarray | None
    variable: bool
    unknown: tuple[int, ...]  # axes whose size the file leaves open

    @property
    def quantised(self) -> bool:
        return self.scales is not None and len(self.scales) > 0


@dataclass(frozen=True, eq=False)
class Operator:
    """One operator: tensor indices, -1 where an optional input is left out."""

    place: int
    code: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    intermediates: tuple[int, ...]
    options: dict[str, Any]


@dataclass(frozen=True, eq=False)
class Subgraph:
    name: str
    tensors: tuple[Tensor, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    operators: tuple[Operator, ...]


def read_model(data: bytes) -> tuple[Subgraph, ...]:
    """Every subgraph of a file. Raises Damaged for bytes that are no TFLite model."""
    if data[4:8] != IDENTIFIER:
        raise Damaged("it does not carry the mark of a TFLite file (TFL3)")
    root = Table.root(data)
    version = root.number(0, "I")
    if version != 3:
        raise Damaged(f"schema version {version}, only version 3 is known")
    codes = [_code(t) for t in root.tables(1)]
    buffers = root.tables(4)
    subgraphs = tuple(_subgraph(t, codes, buffers, data) for t in root.tables(2))
    if not subgraphs:
        raise Damaged("it holds no subgraph")
    return subgraphs


def _code(table: Table) -> str:
    """An operator's name; the wide field replaced a byte that ran out at 127."""
    code = max(int(table.number(0, "b")), int(table.number(3, "i")))
    if not 0 <= code < len(OPERATORS):
        return f"operator {code}"
    return f"CUSTOM {printable(table.text(1)[:80])}" if OPERATORS[code] == "CUSTOM" else OPERATORS[code]


def printable(text: str) -> str:
    """Text of the file, fit for a message: no control characters."""
    return text if text.isprintable() else "".join(c if c.isprintable() else "?" for c in text)


def _subgraph(table: Table, codes: list[str], buffers: list[Table], data: bytes) -> Subgraph:
    tensors = tuple(_tensor(i, t, buffers, data) for i, t in enumerate(table.tables(0)))

    def indices(found: np.ndarray | None, optional: bool = False) -> tuple[int, ...]:
        listed = tuple(found.tolist()) if found is not None else ()
        wrong = [i for i in listed if not (-1 if optional else 0) <= i < len(tensors)]
        if wrong:
            raise Damaged(f"tensor {wrong[0]} is named, there are {len(tensors)}")
        return listed

    operators = []
    for place, t in enumerate(table.tables(3)):
        code = int(t.number(0, "I"))
        if code >= len(codes):
            raise Damaged(f"operator {place} has kind {code}, there are {len(codes)}")
        name = codes[code]
        options = _options(name, t.table(4))
        operators.append(
            Operator(
                place,
                name,
                indices(t.numbers(1, "<i4"), True),
                indices(t.numbers(2, "<i4")),
                indices(t.numbers(8, "<i4"), True),
                options,
            )
        )
    return Subgraph(
        table.text(4), tensors, indices(table.numbers(1, "<i4")), indices(table.numbers(2, "<i4")), tuple(operators)
    )


def _options(name: str, table: Table | None) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for option, (slot, kind, default) in OPTIONS.get(name, {}).items():
        if table is None:
            found[option] = default
        elif kind == "ints":
            numbers = table.numbers(slot, "<i4")
            found[option] = tuple(numbers.tolist()) if numbers is not None else default
        elif kind == "text":
            found[option] = table.text(slot)
        else:
            found[option] = table.number(slot, kind, default)
    return found


def _tensor(index: int, table: Table, buffers: list[Table], data: bytes) -> Tensor:
    name = table.text(3)[:LONGEST_NAME] or f"tensor_{index}"
    sizes = table.numbers(0, "<i4")
    if sizes is not None and len(sizes) > MOST_DIMENSIONS:
        raise Damaged(f"tensor {name!r} has {len(sizes):,} dimensions, at most {MOST_DIMENSIONS} are supported")
    shape = tuple(sizes.tolist()) if sizes is not None else ()
    signature = table.numbers(7, "<i4")
    unknown = tuple(np.flatnonzero(signature < 0).tolist()) if signature is not None else ()
    code = int(table.number(1, "b"))
    if not 0 <= code < len(TENSOR_TYPES):
        raise Damaged(f"tensor {name!r} has element type {code}")
    dtype = TENSOR_TYPES[code]
    if any(d < 0 for d in shape):
        unknown = tuple(sorted({*unknown, *(i for i, d in enumerate(shape) if d < 0)}))
        shape = tuple(max(d, 1) for d in shape)
    if math.prod(shape) > LARGEST:
        raise Damaged(f"tensor {name!r} of shape {list(shape)} is larger than {LARGEST:,} elements")
    scales = zeros = None
    axis = 0
    quantisation = table.table(4)
    if quantisation is not None:
        scales, zeros = quantisation.numbers(2, "<f4"), quantisation.numbers(3, "<i8")
        axis = int(quantisation.number(6, "i"))
        if quantisation.number(4, "B"):
            raise Damaged(f"tensor {name!r} has a custom quantisation")
    if table.table(6) is not None:
        raise Damaged(f"tensor {name!r} is sparse; store it dense")
    number = int(table.number(2, "I"))
    if number >= len(buffers):
        raise Damaged(f"tensor {name!r} lies in buffer {number}, there are {len(buffers)}")
    contents = _contents(buffers[number], data) if number and dtype in _READABLE else None
    array = None
    if contents is not None and len(contents):
        kind = np.dtype(dtype).newbyteorder("<")
        if len(contents) != math.prod(shape) * kind.itemsize:
            raise Damaged(f"tensor {name!r} of {dtype}{list(shape)} has {len(contents):,} bytes of contents")
        array = contents.view(kind).reshape(shape)
    return Tensor(index, name, shape, dtype, scales, zeros, axis, array, bool(table.number(5, "?", False)), unknown)


def _contents(buffer: Table, data: bytes) -> np.ndarray | None:
    """A buffer's bytes: inside the flatbuffer, or, in files over 2 GB, behind it."""
    offset, size = int(buffer.number(1, "q")), int(buffer.number(2, "q"))
    if offset > 1:
        if offset + size > len(data) or size < 0:
            raise Damaged(f"a buffer of {size:,} bytes at {offset:,} reaches outside the file")
        return np.frombuffer(data, np.uint8, size, offset)
    return buffer.numbers(0, "u1")
