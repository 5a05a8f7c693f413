"""Element by element: arithmetic, comparisons, logic, limits."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

import numpy as np

from ...op import Op
from ...ops.binary import Add, Div, Maximum, Minimum, Mul, Pow, Sub
from ...ops.compare import And, Equal, Greater, GreaterEqual, Less, LessEqual, Or, Where
from ...ops.quantise import Cast
from ...ops.shape import Expand, Reshape
from ...ops.unary import Abs, Ceil, Clip, Erf, Exp, Floor, Log, LogicalNot, Neg, Reciprocal, Relu, Round, Sign, Sqrt
from ...types import DTYPES, FLOATS
from .entry import Entry, Known
from .importer import Call, imports

_BINARY: dict[str, Callable[[], Op]] = {
    "Add": Add, "Sub": Sub, "Mul": Mul, "Div": Div, "Equal": Equal, "Less": Less, "LessOrEqual": LessEqual,
    "Greater": Greater, "GreaterOrEqual": GreaterEqual, "And": And, "Or": Or,
}  # fmt: skip


@imports(*_BINARY)
def binary(n: Call) -> Entry:
    """One op each."""
    x, y = aligned(n)
    return n(_BINARY[n.op_type](), x, y)


def aligned(n: Call) -> tuple[Entry, Entry]:
    """The two operands; before opset 7 the second was broadcast only when asked, from a given axis on."""
    x, y = n.x(0), n.x(1)
    axis = n.integer("axis")
    if n.opset < 7 and n.integer("broadcast", 0) and axis is not None:
        axis = n.axis(axis, len(x.shape))
        y = n(Reshape((*y.shape, *[1] * (len(x.shape) - axis - len(y.shape)))), y)
    return x, y


_FLOAT_ONLY: dict[str, Callable[[], Op]] = {
    "Floor": Floor, "Ceil": Ceil, "Round": Round, "Exp": Exp, "Sqrt": Sqrt, "Reciprocal": Reciprocal, "Neg": Neg,
    "Not": LogicalNot, "Erf": Erf, "Log": Log,
}  # fmt: skip


@imports(*_FLOAT_ONLY)
def unary(n: Call) -> Entry:
    """One op each."""
    return n(_FLOAT_ONLY[n.op_type](), n.x())


@imports("Abs")
def absolute(n: Call) -> Entry:
    """Of integers the larger of x and -x."""
    x = n.x()
    if x.dtype in FLOATS:
        return n(Abs(), x)
    return x if x.dtype.startswith("u") else n(Maximum(), x, n(Neg(), x))


@imports("Sign")
def sign(n: Call) -> Entry:
    """Of integers (x > 0) - (x < 0)."""
    x = n.x()
    if x.dtype in FLOATS:
        return n(Sign(), x)
    zero = n.scalar(0, x)
    above = n(Cast(x.dtype), n(Greater(), x, zero))
    return above if x.dtype.startswith("u") else n(Sub(), above, n(Cast(x.dtype), n(Less(), x, zero)))


@imports("Relu")
def relu(n: Call) -> Entry:
    """Of integers too."""
    x = n.x()
    return n(Relu(), x) if x.dtype in FLOATS else n(Maximum(), x, n.scalar(0, x))


_VARIADIC: dict[str, Callable[[], Op]] = {"Max": Maximum, "Min": Minimum, "Sum": Add, "Mean": Add}


@imports(*_VARIADIC)
def variadic(n: Call) -> Entry:
    """Any number of operands, two at a time."""
    operands = n.operands()
    op = _VARIADIC[n.op_type]()
    total = reduce(lambda x, y: n(op, x, y), operands)
    return n(Div(), total, n.scalar(len(operands), total)) if n.op_type == "Mean" else total


@imports("Pow")
def power(n: Call) -> Entry:
    """The result has the base's dtype, whatever the exponent's."""
    x, y = aligned(n)
    if x.dtype == y.dtype:
        return n(Pow(), x, y)
    if x.dtype in FLOATS:
        return n(Pow(), x, n(Cast(x.dtype), y))
    return n(Cast(x.dtype), n(Pow(), n(Cast("float64"), x), n(Cast("float64"), y)))


@imports("Xor")
def xor(n: Call) -> Entry:
    """One but not both."""
    x, y = aligned(n)
    return n(LogicalNot(), n(Equal(), x, y))


@imports("Where")
def where(n: Call) -> Entry:
    """The same op."""
    return n(Where(), n.x(0), n.x(1), n.x(2))


@imports("Clip")
def clip(n: Call) -> Entry:
    """Limits are attributes before opset 11, operands since."""
    x = n.x()
    if n.opset < 11:
        low, high = n.real("min", -np.inf), n.real("max", np.inf)
        return n(Clip(low, high), x)
    limits = n.get(1), n.get(2)
    if x.dtype in FLOATS and all(limit is None or isinstance(limit, Known) for limit in limits):
        low, high = n.number(1, -np.inf), n.number(2, np.inf)
        if low <= high:
            return n(Clip(float(low), float(high)), x)
    if limits[0] is not None:
        x = n(Maximum(), x, limits[0])
    return n(Minimum(), x, limits[1]) if limits[1] is not None else x


@imports("Identity")
def identity(n: Call) -> Entry:
    """Another name."""
    return n.x()


@imports("Dropout")
def dropout(n: Call) -> tuple[Entry, ...]:
    """At inference another name; its mask is all true."""
    x = n.x()
    if n.opset < 7 and not n.integer("is_test", 0):
        raise n.refuse("it drops at random (is_test=0): export the model for inference")
    if n.opset >= 12 and n.number(2, False) and n.number(1, 0.5):
        raise n.refuse("it drops at random (training_mode): export the model for inference")
    if len(n.outputs) < 2:
        return (x,)
    return x, n(Expand(x.shape), n.known(np.ones((1,) * len(x.shape), bool if n.opset >= 10 else x.dtype)))


@imports("Cast", "CastLike")
def cast(n: Call) -> Entry:
    """The target is an attribute, or another operand's dtype."""
    from .tensors import dtype_name

    x = n.x()
    to = n.x(1).dtype if n.op_type == "CastLike" else dtype_name(n.integer("to", 0))
    return as_dtype(n, x, to)


@imports("BitCast")
def bit_cast(n: Call) -> np.ndarray:
    """The same bits as another dtype, where they are known."""
    from .tensors import dtype_name

    x, dtype = n.array(0), np.dtype(dtype_name(n.integer("to", 0)))
    if x is None or x.dtype.itemsize != dtype.itemsize:
        raise n.refuse(f"{dtype} is not as wide as its input")
    return np.ascontiguousarray(x).view(dtype).reshape(x.shape)


def as_dtype(n: Call, x: Entry, dtype: str) -> Entry:
    """`x` as another dtype; one that graphs lack only where it is known. Raises UserError otherwise."""
    if x.dtype == dtype:
        return x
    if isinstance(x, Known):
        with np.errstate(all="ignore"):
            return n.known(x.array.astype(dtype))
    if dtype not in DTYPES:
        raise n.refuse(f"graphs have no {dtype}: only {', '.join(DTYPES)}")
    return n(Cast(dtype), x)
