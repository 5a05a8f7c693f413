"""Elements by index."""

from __future__ import annotations

import numpy as np

from ...mil.program import TensorType
from ..call import Call, Kernel
from ..registry import op


@op("gather")
def gather(call: Call) -> Kernel:
    """x at `indices` along a constant axis; negative indices count from the end."""
    x, indices = call.operand("x"), call.operand("indices")
    rank = len(x.shape)
    axis = call.axis(rank, default=0)
    batch = call.ints("batch_dims", 1, [0])[0]
    if not indices.dtype.startswith(("int", "uint")):
        call.fail(f"indices are {indices}, expected whole numbers")
    if batch and (batch != 1 or axis != 1 or len(indices.shape) != 2 or indices.shape[0] != x.shape[0]):
        call.fail(f"batch_dims is {batch}: expected 0, or 1 with axis 1 and indices [batch, count]")
    if batch:
        rows = np.arange(x.shape[0])[:, None]
        shape = (*indices.shape, *x.shape[2:])
        return Kernel((TensorType(x.dtype, shape),), lambda v, i: v[rows, i], exact=True)
    shape = (*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :])
    return Kernel((TensorType(x.dtype, shape),), lambda v, i: v.take(i.astype(np.int64), axis), exact=True)


@op("gather_along_axis")
def gather_along_axis(call: Call) -> Kernel:
    """At each place, the element of x whose index along a constant axis stands there in `indices`."""
    x, indices = call.operand("x"), call.operand("indices")
    axis = call.axis(len(x.shape), default=0)
    others = [t.shape[:axis] + t.shape[axis + 1 :] for t in (x, indices)]
    if not indices.dtype.startswith(("int", "uint")) or others[0] != others[1]:
        call.fail(f"indices are {indices}, expected whole numbers in the shape of {x} but for axis {axis}")
    result = TensorType(x.dtype, indices.shape)
    return Kernel((result,), lambda v, i: np.take_along_axis(v, i.astype(np.int64), axis), exact=True)
