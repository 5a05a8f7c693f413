"""A Program as a package: plain data to protobuf, its weight files gathered in one."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from netwright.errors import UserError

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
)
from ..weights import MODEL_PATH, WeightFiles
from ..weights import write as write_weights
from .encoding import DATA_TYPES, OPSETS, WEIGHTS, core_ml_tools

_IO = {"fp16": 65552, "fp32": 65568, "int32": 131104}  # ArrayFeatureType.ArrayDataType


def write_package(program: Program, folder: str | Path, path: str | Path) -> Path:
    """The package at `path` of a program whose `@model_path` is `folder`; it replaces one that is there.

    Raises UserError for inputs or outputs that packages cannot have (fp16, fp32 and int32 can), an opset without a
    version of the specification, a weight file that is damaged or cannot be written, and MissingExtra.
    """
    place = Path(path)
    if place.suffix != ".mlpackage":
        raise UserError(f"{place}: the name of a package ends in .mlpackage")
    specification = core_ml_tools("proto.Model_pb2").Model()
    blobs = _blobs(program)
    files = WeightFiles(Path(folder))
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent, prefix=f".{place.name}.") as beside:
            weights = Path(beside) / "weights"
            weights.mkdir()
            tensors = [files.read(b) for b in blobs]
            written = write_weights(weights / Path(WEIGHTS).name, tensors, None)
            _model(specification, program, dict(zip(blobs, written.offsets)))
            models = core_ml_tools("models.model")
            made = Path(beside) / place.name
            models.MLModel(specification, weights_dir=str(weights), skip_model_load=True).save(str(made))
            if place.is_dir():
                os.replace(place, Path(beside) / "before")
            os.replace(made, place)
    except (OSError, shutil.Error) as error:
        raise UserError(f"cannot write {place}: {error}") from None
    return place


def _blobs(program: Program) -> list[BlobFile]:
    """Every reference to a weight file, once, in order."""
    found: dict[BlobFile, None] = {}
    for function in program.functions:
        for statement in function.statements:
            given = [*statement.attributes, *statement.args]
            found.update((v, None) for _, v in given if isinstance(v, BlobFile))
    return list(found)


def _model(spec: Any, program: Program, offsets: dict[BlobFile, int]) -> None:
    main = program.functions[0] if len(program.functions) == 1 else None
    if main is None:
        raise UserError("a package is written of a program with one function")
    if main.opset not in OPSETS:
        raise UserError(f"no specification is known for the opset {main.opset} (there are: {', '.join(OPSETS)})")
    spec.specificationVersion = OPSETS[main.opset][1]
    types = main.types()
    for described, names in (
        (spec.description.input, [v.name for v in main.inputs]),
        (spec.description.output, list(main.outputs)),
    ):
        for name in names:
            feature = described.add()
            feature.name = name
            type = types[name]
            if type.dtype not in _IO:
                raise UserError(f"{name} is {type}; inputs and outputs of a package are {', '.join(_IO)}")
            feature.type.multiArrayType.shape.extend(type.shape)
            feature.type.multiArrayType.dataType = _IO[type.dtype]
    spec.mlProgram.version = 1
    _function(spec.mlProgram.functions[main.name], main, offsets)


def _function(spec: Any, function: Function, offsets: dict[BlobFile, int]) -> None:
    spec.opset = OPSETS[function.opset][0]
    for variable in function.inputs:
        _named(spec.inputs.add(), variable.name, variable.type)
    block = spec.block_specializations[spec.opset]
    block.outputs.extend(function.outputs)
    for statement in function.statements:
        _operation(block.operations.add(), statement, offsets)


def _operation(spec: Any, statement: Statement, offsets: dict[BlobFile, int]) -> None:
    spec.type = statement.op
    for name, argument in statement.args:
        _argument(spec.inputs[name], argument, offsets)
    for name, value in statement.attributes:
        _value(spec.attributes[name], value, offsets)
    for result in statement.results:
        _named(spec.outputs.add(), result.name, result.type)


def _argument(spec: Any, argument: Argument, offsets: dict[BlobFile, int]) -> None:
    for one in argument if isinstance(argument, tuple) else (argument,):
        binding = spec.arguments.add()
        if isinstance(one, str):
            binding.name = one
        else:
            _value(binding.value, one, offsets)


def _named(spec: Any, name: str, type: TensorType) -> None:
    spec.name = name
    _type(spec.type, type)


def _type(spec: Any, type: TensorType) -> None:
    spec.tensorType.dataType = DATA_TYPES[type.dtype][0]
    spec.tensorType.rank = len(type.shape)
    for size in type.shape:
        spec.tensorType.dimensions.add().constant.size = size


def _value(spec: Any, value: Value, offsets: dict[BlobFile, int]) -> None:
    if isinstance(value, Dictionary):
        raise UserError("a dictionary is no attribute of an op")
    _type(spec.type, value.type)
    if isinstance(value, BlobFile):
        spec.blobFileValue.fileName = MODEL_PATH + WEIGHTS
        spec.blobFileValue.offset = offsets[value]
        return
    _elements(spec.immediateValue.tensor, value)


def _elements(spec: Any, value: Constant) -> None:
    field, dtype = DATA_TYPES[value.type.dtype][1], DTYPES[value.type.dtype]
    if field == "bytes":
        assert dtype is not None
        spec.bytes.values = np.array(value.values, dtype.newbyteorder("<")).tobytes()
    else:
        getattr(spec, field).values.extend(value.values)
