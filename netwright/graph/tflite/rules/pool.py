"""Pooling."""

from __future__ import annotations

from ...ops.int8.elementwise import QRelabel
from ...ops.int8.pool import QAveragePool, QMaxPool
from ...ops.pool import AveragePool, MaxPool
from ..importer import Import, imports
from ..model import Operator
from .common import fused
from .layers import geometry


@imports("AVERAGE_POOL_2D", "MAX_POOL_2D")
def pool(imp: Import, op: Operator) -> None:
    """Integer kernels keep the input's numbers; where the result's scale differs they are read anew."""
    x, result = imp.tensor(op, 0), imp.result(op)
    kernel = (op.options["kernel_h"], op.options["kernel_w"])
    where = geometry(imp, op, imp.shape_of(x.index), kernel)
    largest = op.code == "MAX_POOL_2D"
    name = imp.name(op)
    if imp.integer(x):
        imp.need_int8(op, result)
        out = imp.quant(op, result)
        window = (kernel, where["stride"], where["padding"], imp.clamp(op, out)["low"], imp.clamp(op, out)["high"])
        q = QMaxPool(*window) if largest else QAveragePool(*window, offset=128 if x.dtype == "uint8" else 0)
        y = imp.b(q, imp.value(op, 0), name=name)
        imp.put(op, y if y.type.quant == out else imp.b(QRelabel(out), y, name=f"{name}.scale"))
        return
    kind = MaxPool if largest else AveragePool
    y = imp.b(kind(kernel, where["stride"], where["padding"]), imp.first(op, 0), name=name)
    imp.put_first(op, fused(imp, op, y))
