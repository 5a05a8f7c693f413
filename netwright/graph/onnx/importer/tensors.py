"""Tensors out of the file: sizes are compared with what is there before anything is read."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from netwright.errors import UserError

# onnx.TensorProto.DataType
DTYPE_OF: dict[int, str] = {
    1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 9: "bool", 10: "float16",
    11: "float64", 12: "uint32", 13: "uint64",
}  # fmt: skip
_OTHERS = {
    0: "undefined", 8: "string", 14: "complex64", 15: "complex128", 16: "bfloat16", 17: "float8e4m3fn",
    18: "float8e4m3fnuz", 19: "float8e5m2", 20: "float8e5m2fnuz", 21: "uint4", 22: "int4", 23: "float4e2m1",
    24: "float8e8m0", 25: "uint2", 26: "int2",
}  # fmt: skip
# the repeated field that holds a dtype where `raw_data` does not
_FIELD = {
    "float32": "float_data", "float64": "double_data", "int64": "int64_data", "uint64": "uint64_data",
    "uint32": "uint64_data",
}  # fmt: skip
_LARGEST_BYTES = 2**34


def dtype_name(code: int, what: str = "") -> str:
    """Our name of an ONNX element type; `what` has it. Raises UserError for one that graphs do not have."""
    if code not in DTYPE_OF:
        kind = f"{what}element type {_OTHERS.get(code, code)}"
        raise UserError(f"{kind} is not supported ({', '.join(DTYPE_OF.values())} are)")
    return DTYPE_OF[code]


def array_of(tensor: Any, folder: Path | None = None) -> np.ndarray:
    """An onnx.TensorProto as an array. Raises UserError where its dimensions, type and data do not agree."""
    what = f"tensor {tensor.name!r}"
    dtype = np.dtype(dtype_name(tensor.data_type, f"{what}: "))
    shape = tuple(int(d) for d in tensor.dims)
    if any(d < 0 for d in shape) or len(shape) > 64:
        raise UserError(f"{what} has impossible dimensions {list(shape)[:8]}")
    count = math.prod(shape)
    if count * dtype.itemsize > _LARGEST_BYTES:
        raise UserError(f"{what} of {list(shape)} would take {count * dtype.itemsize} bytes")
    if tensor.HasField("segment"):
        raise UserError(f"{what} is stored in segments, which is not supported")
    if tensor.data_location == 1:
        return _external(tensor, what, dtype, shape, count, folder)
    if tensor.HasField("raw_data"):
        return _from_bytes(tensor.raw_data, what, dtype, shape, count)
    field = getattr(tensor, _FIELD.get(dtype.name, "int32_data"))
    if len(field) != count:
        raise UserError(f"{what} of {list(shape)} needs {count} elements, the file has {len(field)}")
    if dtype.name == "float16":  # stored as bit patterns
        return np.array(field, np.uint16).view(np.float16).reshape(shape)
    return np.array(field).astype(dtype).reshape(shape)


def _from_bytes(data: bytes, what: str, dtype: np.dtype, shape: tuple[int, ...], count: int) -> np.ndarray:
    if len(data) != count * dtype.itemsize:
        raise UserError(f"{what} of {dtype}{list(shape)} needs {count * dtype.itemsize} bytes, there are {len(data)}")
    if dtype.kind == "b":
        return np.frombuffer(data, np.uint8).reshape(shape) != 0
    return np.frombuffer(data, dtype.newbyteorder("<")).astype(dtype, copy=False).reshape(shape)


def _external(
    tensor: Any, what: str, dtype: np.dtype, shape: tuple[int, ...], count: int, folder: Path | None
) -> np.ndarray:
    """Data in a file beside the model; nothing outside the model's folder is opened."""
    entries = {e.key: e.value for e in tensor.external_data}
    location = entries.get("location", "")
    if folder is None:
        raise UserError(f"{what} lies in another file ({location!r}): give the model's path, not its contents")
    place = folder.resolve()
    path = (place / location).resolve()
    if not location or "\0" in location or not path.is_relative_to(place):
        raise UserError(f"{what} lies in {location!r}, which is not inside the model's folder")
    if not path.is_file():
        raise UserError(f"{what} lies in {location!r}, which is not there: keep it beside the model")
    size = count * dtype.itemsize
    offset = int(entries.get("offset") or 0)
    length = int(entries.get("length") or size)
    if offset < 0 or length != size or offset + length > path.stat().st_size:
        raise UserError(f"{what} needs {size} bytes at {offset} of {location!r}, which do not fit its {length} there")
    with path.open("rb") as file:
        file.seek(offset)
        return _from_bytes(file.read(length), what, dtype, shape, count)
