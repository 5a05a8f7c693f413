"""Weights that are stored in fewer bits and spread out to fp16 before the program runs."""

from __future__ import annotations

import numpy as np

from ...mil.program import TensorType
from ..call import Call, Kernel
from ..registry import op


@op("constexpr_affine_dequantize")
def affine(call: Call) -> Kernel:
    """scale (quantized_data - zero_point); scale and zero_point are scalars or vectors along `axis`."""
    data, scale, zero = (_given(call, name) for name in ("quantized_data", "scale", "zero_point"))
    axis = call.axis(data.ndim)
    for name, value in (("scale", scale), ("zero_point", zero)):
        if value.shape not in ((), data.shape[axis : axis + 1]):
            call.fail(f"{name} has the shape {list(value.shape)}, expected a scalar or {data.shape[axis]} numbers")
    spread = tuple(-1 if i == axis else 1 for i in range(data.ndim))
    factor, start = (v.reshape(spread).astype(np.float32) if v.ndim else v.astype(np.float32) for v in (scale, zero))
    return _expanded(call, (data.astype(np.float32) - start) * factor)


@op("constexpr_blockwise_shift_scale")
def blockwise(call: Call) -> Kernel:
    """scale (data - offset); each number of scale and offset is for a block of data, equal along every axis."""
    data, scale = _given(call, "data"), _given(call, "scale")
    offset = _given(call, "offset") if call.has("offset") else np.zeros(scale.shape, np.float32)
    if scale.shape != offset.shape or scale.ndim != data.ndim or any(
            not s or d % s for d, s in zip(data.shape, scale.shape)):
        call.fail(f"data of shape {list(data.shape)} has no blocks for a scale of shape {list(scale.shape)}")
    for axis, (size, blocks) in enumerate(zip(data.shape, scale.shape)):
        scale, offset = scale.repeat(size // blocks, axis), offset.repeat(size // blocks, axis)
    return _expanded(call, (data.astype(np.float32) - offset.astype(np.float32)) * scale)


def _given(call: Call, name: str) -> np.ndarray:
    array = call.constant(name)
    if array is None or array.dtype.kind not in "iuf":
        call.fail(f"{name} must be a constant of numbers")
    return array


def _expanded(call: Call, values: np.ndarray) -> Kernel:
    """A kernel without operands: its result is a constant."""
    dtype = call.type_of("scale").dtype
    if dtype not in ("fp16", "fp32"):
        call.fail(f"scale is {dtype}, expected fp16 or fp32")
    return Kernel((TensorType(dtype, values.shape),), lambda: values.astype(np.float32))
