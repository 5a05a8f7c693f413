"""Wrong types are refused where they come in, in words."""

from __future__ import annotations

import pytest

from netwright.graph import Builder, Op, Type, ops

WRONG_TYPES = [
    (ops.Add(), [("float32", (2,)), ("float64", (2,))], "operands of one dtype"),
    (ops.Add(), [("float32", (2,)), ("float32", (3,))], "do not broadcast"),
    (ops.Mul(), [("bool", (2,)), ("bool", (2,))], "needs numbers"),
    (ops.Conv(), [("int8", (1, 1, 3, 3)), ("int8", (1, 1, 3, 3))], "floating-point"),
    (ops.Conv(), [("float32", (1, 1, 3, 3)), ("float32", (1, 1, 5, 5))], "padded input has 3"),
    (ops.Linear(), [("float32", (2, 3)), ("float32", (2, 4))], r"weights \[O, I\]"),
    (ops.Matmul(), [("float32", (2, 3)), ("float32", (2, 4))], "inner dimensions"),
    (ops.ReduceMean(), [("int32", (2, 3))], "floating-point"),
    (ops.ReduceSum((0, -2)), [("float32", (2, 3))], "names an axis twice"),
    (ops.Softmax(2), [("float32", (2, 3))], "axis 2 of a rank-2"),
    (ops.Reshape((4, -1)), [("float32", (2, 3))], "6 elements"),
    (ops.Transpose((0, 0)), [("float32", (2, 3))], "transpose"),
    (ops.Slice((3, 0), (4, 3)), [("float32", (2, 3))], "leaves"),
    (ops.Split(1, (1, 1)), [("float32", (2, 3))], "split of 3"),
    (ops.Pad((1, 3, 0, 0), "reflect"), [("float32", (2, 3))], "reflecting 3"),
    (ops.Gather(), [("float32", (2, 3)), ("float32", (2,))], "int32 or int64"),
    (ops.TopK(4), [("float32", (2, 3))], "top 4 of 3"),
    (ops.ScatterElements(0, (4, 2)), [("float32", (2, 3)), ("int64", (2, 3))], "leaves"),
    (ops.Where(), [("float32", (2,)), ("float32", (2,)), ("float32", (2,))], "must be bool"),
    (ops.MaxPool((4, 4)), [("float32", (1, 1, 3, 3))], "does not fit"),
    (ops.BatchNorm(), [("float32", (1, 4))] + [("float32", (3,))] * 4, r"shape \[4\]"),
    (ops.Resize((2,)), [("float32", (1, 1, 3, 3))], "resize of"),
    (ops.Einsum("ii,ij->j"), [("float32", (2, 2)), ("float32", (2, 2))], "not of the form"),
    (ops.QLinear(), [("int8", (1, 2)), ("int8", (3, 2)), ("float32", (3,)), ("int32", (3,))], "with quantisation"),
]


@pytest.mark.parametrize(("op", "types", "reason"), WRONG_TYPES, ids=lambda v: str(v))
def test_wrong_types_are_refused_when_the_graph_is_built(op: Op, types: list[tuple[str, tuple[int, ...]]], reason: str) -> None:
    b = Builder()
    values = [b.input("x", Type(shape, dtype)) for dtype, shape in types]
    with pytest.raises(ValueError, match=reason):
        b(op, *values)
