"""Pooling over one to three spatial axes."""

from __future__ import annotations

from math import prod

import numpy as np

from ...mil.program import TensorType
from ..call import Call, Kernel
from ..registry import op
from .windows import Windows, windows


@op("max_pool", "avg_pool", "l2_pool")
def pool(call: Call) -> Kernel:
    """x [N, C, ...]; an average counts the padding unless `exclude_padding_from_average`."""
    (x,) = call.floats("x")
    count = len(x.shape) - 2
    if not 1 <= count <= 3:
        call.fail(f"x is {x}, expected [N, C, ...] with one to three spatial axes")
    kernel = tuple(call.ints("kernel_sizes", count))
    walk = windows(call, x.shape, kernel, bool(call.const("ceil_mode", False)))
    result = TensorType(x.dtype, (*x.shape[:2], *walk.out))
    axes = tuple(range(2 + count, 2 + 2 * count))
    if call.statement.op == "max_pool":
        return Kernel((result,), lambda v: walk.view(v, -np.inf).max(axes), exact=True)
    if call.statement.op == "l2_pool":
        return Kernel((result,), lambda v: np.sqrt(np.square(walk.view(v)).sum(axes)))
    share = _share(walk, x.shape[2:], bool(call.const("exclude_padding_from_average", False)))
    return Kernel((result,), lambda v: walk.view(v).sum(axes) * share)


def _share(walk: Windows, spatial: tuple[int, ...], exclude: bool) -> np.ndarray:
    """1 / the number of elements that each window counts."""
    if not exclude:
        return np.float32(1 / prod(walk.kernel)) * np.ones(walk.out, np.float32)
    inside = walk.view(np.ones((1, 1, *spatial), np.float32))[0, 0]
    counts = inside.sum(tuple(range(len(walk.out), 2 * len(walk.out))))
    return (1 / np.maximum(counts, 1)).astype(np.float32)
