"""What several families need: fused activations, operands of broadcast operators in one layout."""

from __future__ import annotations

import numpy as np

from ...graph import Value
from ...ops.activation import Relu6
from ...ops.shape import Reshape
from ...ops.unary import Clip, Relu, Tanh
from ..importer import TO_FIRST, Import
from ..model import Operator

_FLOAT = {"relu": Relu(), "relu6": Relu6(), "relu_n1_to_1": Clip(-1.0, 1.0), "tanh": Tanh()}


def fused(imp: Import, op: Operator, value: Value) -> Value:
    """A float result with its fused activation."""
    kind = imp.activation(op)
    if kind == "none":
        return value
    if kind not in _FLOAT:
        imp.refuse(op, f"a fused {kind} is not supported")
    return imp.b(_FLOAT[kind], value, name=f"{imp.name(op)}.{kind}")


def operands(imp: Import, op: Operator) -> tuple[list[Value], bool]:
    """The inputs of an elementwise operator, and whether they are channels first.

    They are where one of them exists in no other order, every other is as large or a constant, and none is quantised.
    """
    if len(op.inputs) != 2 or min(op.inputs) < 0:
        imp.refuse(op, f"it has {len(op.inputs)} inputs, not two")
    places = range(len(op.inputs))
    shapes = [imp.shape_of(i) for i in op.inputs]
    rank = max(map(len, shapes))
    turned = rank == 4 and any(imp.is_first(op, p) for p in places)
    if not turned or any(len(s) != 4 and i not in imp.known for s, i in zip(shapes, op.inputs)):
        return [imp.value(op, p) for p in places], False
    made = []
    for place, index in zip(places, op.inputs):
        if index in imp.known:
            array = imp.known[index]
            full = array.reshape((1,) * (4 - array.ndim) + array.shape)
            made.append(imp.b.constant(np.ascontiguousarray(full.transpose(TO_FIRST)), imp.tensor(op, place).name))
        else:
            made.append(imp.first(op, place))
    return made, True


def same_rank(imp: Import, op: Operator, values: list[Value]) -> list[Value]:
    """Operands reshaped to the largest rank, as integer ops want them."""
    rank = max(len(v.shape) for v in values)
    return [
        v if len(v.shape) == rank else imp.b(Reshape((1,) * (rank - len(v.shape)) + v.shape), v, name=f"{v.name}.rank")
        for v in values
    ]
