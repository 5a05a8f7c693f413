"""Core ML tools as an independent judge: their own type inference on a package that we wrote, and their blob reader."""

from __future__ import annotations

from pathlib import Path

import coremltools  # noqa: F401  loads the op registry
import numpy as np
from coremltools.converters.mil.frontend.milproto.load import load_mil_proto
from coremltools.libmilstoragepython import _BlobStorageReader
from coremltools.proto import Model_pb2

from netwright.devices.ane.mil import BlobFile, Program, TensorType, to_text
from netwright.devices.ane.package import read_package, write_package
from netwright.devices.ane.weights import WeightFiles

_NAMES = {"fp16": "fp16", "fp32": "fp32", "int32": "int32", "bool": "bool"}


def inferred(package: Path) -> dict[str, TensorType]:
    """Name -> type of every result, as Core ML tools infer them while they rebuild the program op by op."""
    model = package / "Data" / "com.apple.CoreML"
    spec = Model_pb2.Model()
    spec.ParseFromString((model / "model.mlmodel").read_bytes())
    program = load_mil_proto(spec.mlProgram, spec.specificationVersion, str(model / "weights"))
    found: dict[str, TensorType] = {}
    for op in program.functions["main"].operations:
        if op.op_type == "const":
            continue
        for out in op.outputs:
            dtype = out.dtype.__type_info__().name
            found[out.name] = TensorType(_NAMES.get(dtype, dtype), tuple(int(s) for s in out.shape))
    return found


def check(program: Program, folder: Path) -> int:
    """Writes the package, compares every type and every chunk of weights bit for bit; how many types were compared."""
    package = write_package(program, folder, folder / "out.mlpackage")
    ours, theirs = program.function().types(), inferred(package)
    assert {name: str(ours[name]) for name in theirs} == {name: str(t) for name, t in theirs.items()}
    again = read_package(package)
    assert to_text(again.program).split("func")[0] == to_text(program).split("func")[0]
    reader = _BlobStorageReader(str(package / "Data" / "com.apple.CoreML" / "weights" / "weight.bin"))
    for before, after in zip(program.function().statements, again.program.function().statements, strict=True):
        assert before.results == after.results and before.op == after.op and dict(before.args) == dict(after.args)
        value, moved = before.attribute("val"), after.attribute("val")
        if isinstance(value, BlobFile):
            assert isinstance(moved, BlobFile)
            words = np.asarray(reader.read_fp16_data(moved.offset)).astype(np.uint16)
            assert words.tobytes() == WeightFiles(folder).read(value).tobytes()
    return len(theirs)
