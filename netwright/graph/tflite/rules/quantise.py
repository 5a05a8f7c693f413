"""Between reals and integers, and between quantisations."""

from __future__ import annotations

import numpy as np

from ...ops.int8.elementwise import QRequantise
from ...ops.quantise import Cast, Dequantise, Quantise
from ...types import DTYPES
from ..importer import Import, folds, imports
from ..model import Operator


@imports("QUANTIZE")
def quantise(imp: Import, op: Operator) -> None:
    """float32 to 8 bits; or 8, 16 and 32 bits among one another."""
    x, result = imp.tensor(op, 0), imp.result(op)
    out, name = imp.quant(op, result), imp.name(op)
    if x.dtype == "float32":
        imp.need_int8(op, result)
        imp.put(op, imp.b(Quantise(out), imp.value(op, 0), name=name))
        return
    dtype = "int8" if result.dtype == "uint8" else result.dtype
    if dtype not in ("int8", "int16", "int32") or x.dtype not in ("int8", "uint8", "int16", "int32"):
        imp.refuse(op, f"from {x.dtype} to {result.dtype} is not supported")
    info = np.iinfo(dtype)
    q = QRequantise(imp.quant(op, x), out, int(info.min), int(info.max), dtype)
    imp.put(op, imp.b(q, imp.value(op, 0), name=name))


@imports("DEQUANTIZE")
def dequantise(imp: Import, op: Operator) -> None:
    """8 bits to float32."""
    x = imp.tensor(op, 0)
    if x.dtype not in ("int8", "uint8", "int16"):
        imp.refuse(op, f"of {x.dtype} is not supported")
    imp.put(op, imp.b(Dequantise(imp.quant(op, x)), imp.value(op, 0), name=imp.name(op)))


@folds("DEQUANTIZE")
def constant(imp: Import, op: Operator, arrays: list[np.ndarray | None]) -> np.ndarray | None:
    """Stored weights in half precision or 8 bits, whose network computes in float32."""
    (array,) = arrays
    tensor = imp.tensor(op, 0)
    if array is None or array.dtype.kind == "f":
        return array.astype(np.float32) if array is not None else None
    if tensor.scales is None or not len(tensor.scales):
        imp.refuse(op, "its input has no scale")
    zeros = tensor.zeros if tensor.zeros is not None and len(tensor.zeros) else np.zeros(1, np.int64)
    shape = [1] * array.ndim
    if len(tensor.scales) > 1:
        if not 0 <= tensor.axis < array.ndim or array.shape[tensor.axis] != len(tensor.scales):
            imp.refuse(op, f"{len(tensor.scales)} scales along axis {tensor.axis} of {list(array.shape)}")
        shape[tensor.axis] = -1
    steps = array.astype(np.int64) - zeros.reshape(shape if len(zeros) > 1 else [1] * array.ndim)
    return np.asarray(steps.astype(np.float32) * tensor.scales.reshape(shape), np.float32)


@imports("CAST")
def cast(imp: Import, op: Operator) -> None:
    """The result's element type says to what; options may be left out."""
    wanted = imp.result(op).dtype
    if wanted not in DTYPES or imp.integer(imp.tensor(op, 0)):
        imp.refuse(op, f"from {imp.tensor(op, 0).dtype} to {wanted} is not supported")
    imp.put(op, imp.b(Cast(wanted), imp.value(op, 0), name=imp.name(op)))


@folds("CAST")
def cast_constant(imp: Import, op: Operator, arrays: list[np.ndarray | None]) -> np.ndarray | None:
    """A constant in another element type."""
    kind = imp.result(op).dtype
    return arrays[0].astype(DTYPES[kind]) if arrays[0] is not None and kind in DTYPES else None
