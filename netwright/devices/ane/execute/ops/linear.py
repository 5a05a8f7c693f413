"""Matrix products: fp16 factors, fp32 accumulation, one rounding."""

from __future__ import annotations

import re

import numpy as np

from ...mil.program import TensorType
from ..call import Call, Kernel
from ..registry import op

_EQUATION = re.compile(r"([a-z]+),([a-z]+)->([a-z]+)\Z")


@op("linear")
def linear(call: Call) -> Kernel:
    """x [..., I] times the transpose of a constant weight [O, I], plus a constant bias [O]."""
    (x,) = call.floats("x")
    weight = call.constant("weight")
    if weight is None or weight.ndim != 2 or not x.shape or weight.shape[1] != x.shape[-1]:
        call.fail(f"x is {x}, expected a constant weight [O, {x.shape[-1] if x.shape else 'I'}]")
    bias = call.constant("bias") if call.has("bias") else None
    if call.has("bias") and (bias is None or bias.shape != weight.shape[:1]):
        call.fail(f"bias must be a constant of {weight.shape[0]} numbers")
    matrix = weight.T
    result = TensorType(x.dtype, (*x.shape[:-1], weight.shape[0]))

    def run(v: np.ndarray) -> np.ndarray:
        y = (v.reshape(-1, matrix.shape[0]) @ matrix).reshape(result.shape)
        if bias is not None:
            y += bias
        return y

    return Kernel((result,), run)


@op("matmul")
def matmul(call: Call) -> Kernel:
    """x [..., M, K] times y [..., K, N], either transposed first; beyond the profile's ceiling results are infinite."""
    x, y = call.floats("x", "y")
    flip_x, flip_y = bool(call.const("transpose_x", False)), bool(call.const("transpose_y", False))
    if min(len(x.shape), len(y.shape)) < 2:
        call.fail(f"x is {x} and y is {y}, expected at least two axes each")
    rows, inner = x.shape[-2:][::-1] if flip_x else x.shape[-2:]
    inner_y, columns = y.shape[-2:][::-1] if flip_y else y.shape[-2:]
    if inner != inner_y:
        call.fail(f"{inner} columns on the left, {inner_y} rows on the right (x is {x}, y is {y})")
    batch = call.broadcast(TensorType(x.dtype, x.shape[:-2]), TensorType(y.dtype, y.shape[:-2]))
    ceiling = np.float32(call.numerics.matmul_ceiling)

    def run(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        left, right = a.swapaxes(-1, -2) if flip_x else a, b.swapaxes(-1, -2) if flip_y else b
        # one two-dimensional product where the right side is one matrix for all
        if right.ndim == 2 < left.ndim:
            made = (left.reshape(-1, inner) @ right).reshape(*batch, rows, columns)
        else:
            made = left @ right
        return made if np.isinf(ceiling) else np.where(np.abs(made) > ceiling, np.copysign(np.inf, made), made)

    return Kernel((TensorType(x.dtype, (*batch, rows, columns)),), run)


@op("einsum")
def einsum(call: Call) -> Kernel:
    """The product of two values along named axes: `nchw,nwhu->nchu`."""
    types = call.operands_of("values")
    equation = str(call.const("equation")).replace(" ", "")
    match = _EQUATION.match(equation)
    if match is None or len(types) != 2 or [len(g) for g in match.groups()[:2]] != [len(t.shape) for t in types]:
        call.fail(f"the equation {equation!r} does not fit {' and '.join(map(str, types))}")
    sizes: dict[str, int] = {}
    for letters, type in zip(match.groups(), types):
        for letter, size in zip(letters, type.shape):
            if sizes.setdefault(letter, size) != size:
                call.fail(f"the axis {letter} has {sizes[letter]} and {size} elements")
    if not set(match[3]) <= set(sizes) or len(set(match[3])) != len(match[3]):
        call.fail(f"the equation {equation!r} has no such result")
    result = TensorType(types[0].dtype, tuple(sizes[letter] for letter in match[3]))
    return Kernel((result,), lambda a, b: np.ascontiguousarray(np.einsum(equation, a, b, optimize=True)))
