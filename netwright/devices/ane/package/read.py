"""A package as a Program: protobuf to plain data, one function per construct of MIL."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from netwright.errors import UserError

from ..mil.parse import MAX_AXIS, MAX_RANK
from ..mil.program import (
    DTYPES,
    Argument,
    BlobFile,
    Constant,
    Dictionary,
    Function,
    Program,
    Statement,
    TensorType,
    Value,
    Variable,
)
from .encoding import DATA_TYPES, MANIFEST, OPSETS, core_ml_tools


@dataclass(frozen=True)
class Package:
    """What a package holds.

    Attributes:
        folder: where `@model_path` of its weight files points.
    """

    program: Program
    folder: Path


def read_package(path: str | Path) -> Package:
    """The ML Program in a package. Raises UserError for anything else, naming the file, and MissingExtra."""
    place = Path(path)
    model = _model_file(place)
    specification = core_ml_tools("proto.Model_pb2").Model()
    from google.protobuf.message import DecodeError  # comes with Core ML tools

    try:
        specification.ParseFromString(model.read_bytes())
    except OSError as error:
        raise UserError(f"{model}: {error.strerror or error}") from None
    except (DecodeError, RuntimeError) as error:
        raise UserError(f"{model}: not a Core ML model: {error}") from None
    if specification.WhichOneof("Type") != "mlProgram":
        raise UserError(f"{model}: holds {specification.WhichOneof('Type')}, expected an mlProgram; "
                        "convert the model with convert_to='mlprogram'")
    try:
        program = _program(specification.mlProgram)
    except UserError as error:
        raise UserError(f"{model}: {error}") from None
    return Package(program, model.parent)


def _model_file(place: Path) -> Path:
    """The model's file inside a package, as its manifest says."""
    manifest = place / MANIFEST
    try:
        table = json.loads(manifest.read_text(encoding="utf-8"))
        inside = PurePosixPath(table["itemInfoEntries"][table["rootModelIdentifier"]]["path"])
    except FileNotFoundError:
        raise UserError(f"{place}: not a package: no {MANIFEST} there") from None
    except OSError as error:
        raise UserError(f"{manifest}: {error.strerror or error}") from None
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{manifest}: damaged: it does not name a model") from None
    if inside.is_absolute() or ".." in inside.parts or "\0" in str(inside):
        raise UserError(f"{manifest}: the model's path {str(inside)!r} leaves the package")
    return place / "Data" / inside


def _program(spec: Any) -> Program:
    return Program(tuple(_function(name, spec.functions[name]) for name in sorted(spec.functions)))


def _function(name: str, spec: Any) -> Function:
    opset = next((ours for ours, (theirs, _) in OPSETS.items() if theirs == spec.opset), None)
    if opset is None or spec.opset not in spec.block_specializations:
        raise UserError(f"function {_cleaned(name)}: opset {spec.opset!r} is not known")
    block, names = spec.block_specializations[spec.opset], _Names()
    inputs = tuple(_variable(v, names) for v in spec.inputs)
    statements = tuple(_statement(o, names) for o in block.operations)
    return Function(_cleaned(name), opset, inputs, statements, tuple(names.of(o) for o in block.outputs))


class _Names:
    """Names of values as MIL's text can spell them, one for each name of the package."""

    def __init__(self) -> None:
        self._given: dict[str, str] = {}
        self._taken: set[str] = set()

    def of(self, name: str) -> str:
        if name not in self._given:
            wanted = unique = _cleaned(name)
            count = 0
            while unique in self._taken:
                count += 1
                unique = f"{wanted}_{count}"
            self._given[name] = unique
            self._taken.add(unique)
        return self._given[name]


def _cleaned(name: str) -> str:
    clean = re.sub(r"[^A-Za-z0-9_]", "_", name)
    return clean if clean and not clean[0].isdigit() else f"_{clean}"


def _statement(spec: Any, names: _Names) -> Statement:
    op = _cleaned(spec.type)
    if len(spec.blocks):
        raise UserError(f"op {op}: control flow is not supported")
    if not len(spec.outputs):
        raise UserError(f"op {op}: has no results")
    args = tuple((_cleaned(key), _argument(spec.inputs[key], names)) for key in sorted(spec.inputs))
    attributes = [(_cleaned(key), _value(spec.attributes[key])) for key in sorted(spec.attributes)]
    return Statement(tuple(_variable(v, names) for v in spec.outputs), op, args, tuple(attributes))


def _argument(spec: Any, names: _Names) -> Argument:
    several = tuple(
        names.of(b.name) if b.WhichOneof("binding") == "name" else _value(b.value) for b in spec.arguments
    )
    return several[0] if len(several) == 1 else several


def _variable(spec: Any, names: _Names) -> Variable:
    name = names.of(spec.name)
    return Variable(name, _type(spec.type, name))


def _type(spec: Any, what: str) -> TensorType:
    if spec.WhichOneof("type") != "tensorType":
        raise UserError(f"{what}: a value of {spec.WhichOneof('type') or 'no type'} is not supported, only tensors are")
    tensor = spec.tensorType
    dtype = next((ours for ours, (number, _) in DATA_TYPES.items() if number == tensor.dataType), None)
    if dtype is None:
        raise UserError(f"{what}: element type {tensor.dataType} is not supported")
    if any(d.WhichOneof("dimension") != "constant" for d in tensor.dimensions):
        raise UserError(f"{what}: its shape is not fixed; convert the model with fixed input shapes")
    shape = tuple(int(d.constant.size) for d in tensor.dimensions)
    if len(shape) > MAX_RANK or max(shape, default=0) > MAX_AXIS:
        raise UserError(f"{what}: a shape of {list(shape)[:MAX_RANK]} is too large")
    return TensorType(dtype, shape)


def _value(spec: Any) -> Value:
    if spec.WhichOneof("value") == "blobFileValue":
        return BlobFile(_type(spec.type, "a constant"), spec.blobFileValue.fileName, int(spec.blobFileValue.offset))
    immediate = spec.immediateValue
    if immediate.WhichOneof("value") == "dictionary":
        items = [(_value(i.key), _value(i.value)) for i in immediate.dictionary.values]
        return Dictionary(tuple((_text(k), _text(v)) for k, v in items))
    type = _type(spec.type, "a constant")
    if immediate.WhichOneof("value") != "tensor":
        raise UserError(f"a constant of {immediate.WhichOneof('value') or 'no value'} is not supported")
    field, elements = DATA_TYPES[type.dtype][1], immediate.tensor
    # a tensor without elements has no field set
    held = getattr(elements, field).values if elements.WhichOneof("value") in (field, None) else None
    dtype = DTYPES[type.dtype]
    if held is not None and field == "bytes":
        assert dtype is not None
        held = np.frombuffer(held, dtype.newbyteorder("<")).tolist() if len(held) == type.bytes else None
    if held is None or len(held) != type.size:
        raise UserError(f"a constant says {type} and holds another number or kind of elements")
    return Constant(type, tuple(held))


def _text(value: Value) -> str:
    if not isinstance(value, Constant) or value.type != TensorType("string"):
        raise UserError("a dictionary of other values than strings is not supported")
    return str(value.values[0])
