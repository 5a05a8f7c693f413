"""What builders are made of: layers with batch norm and activation, over one or two spatial dimensions.

Parameter names follow the structure's addresses, so two candidates that share a place share the name of its tensor.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from netwright.graph import OPS, Builder, Init, Op, Type, Value
from netwright.graph.ops.binary import Add
from netwright.graph.ops.conv import Conv
from netwright.graph.ops.linear import Linear
from netwright.graph.ops.norm import BatchNorm
from netwright.graph.ops.pool import GlobalAveragePool, MaxPool
from netwright.graph.ops.shape import Reshape

ONE, ZERO = Init("constant", 1.0), Init("constant", 0.0)
HE, NARROW = Init("he"), Init("he", 0.5)
NORM = BatchNorm()
ADD, GLOBAL, FLAT, LINEAR = Add(), GlobalAveragePool(), Reshape((0, -1)), Linear()


def start(name: str, x: Type) -> tuple[Builder, Value]:
    """A builder and its input, one task input as it comes."""
    b = Builder(name)
    return b, b.input("x", x)


@lru_cache(maxsize=4096)
def conv_op(rank: int, kernel: int, stride: int, groups: int) -> Conv:
    """A convolution padded so that stride 1 keeps the size and stride s divides it, rounding up."""
    pad = (kernel - 1) // 2
    return Conv((stride,) * rank, (pad,) * 2 * rank, (1,) * rank, groups)


@lru_cache(maxsize=64)
def activation_op(name: str) -> Op:
    """`relu`, `relu6`, `hard_swish`, ... by its op's name."""
    return OPS[name]()


def norm(b: Builder, x: Value) -> Value:
    """Batch norm with its four parameters."""
    channels = (x.type.shape[1],)
    with b.scope("norm"):
        scale = b.param("scale", channels, init=ONE)
        bias = b.param("bias", channels, init=ZERO)
        mean = b.param("mean", channels, init=ZERO, trainable=False)
        variance = b.param("variance", channels, init=ONE, trainable=False)
    return b(NORM, x, scale, bias, mean, variance, name="norm")


def conv(
    b: Builder, x: Value, width: int, kernel: int, stride: int = 1, *, groups: int = 1, activation: str | None = "relu"
) -> Value:
    """Convolution, batch norm, activation (None: linear)."""
    shape = x.type.shape
    rank = len(shape) - 2
    weight = b.param("weight", (width, shape[1] // groups, *(kernel,) * rank), init=HE)
    y = norm(b, b(conv_op(rank, kernel, stride, groups), x, weight, name="conv"))
    return b(activation_op(activation), y, name=activation) if activation else y


def max_pool(b: Builder, x: Value) -> Value:
    """Halve every spatial dimension that is at least 2."""
    size = tuple(2 if n >= 2 else 1 for n in x.type.shape[2:])
    return b(MaxPool(size, size), x, name="pool")


def separable(b: Builder, x: Value, width: int, kernel: int, stride: int, activation: str = "relu") -> Value:
    """Depthwise, then pointwise convolution (Howard et al. 2017, section 3.1)."""
    with b.scope("depthwise"):
        y = conv(b, x, x.type.shape[1], kernel, stride, groups=x.type.shape[1], activation=activation)
    with b.scope("pointwise"):
        return conv(b, y, width, 1, activation=activation)


def inverted_residual(
    b: Builder, x: Value, width: int, kernel: int, expand: int, stride: int, activation: str = "relu6"
) -> Value:
    """Expand, depthwise, project; added to the input where the shapes agree (Sandler et al. 2018, section 3.3)."""
    channels = x.type.shape[1]
    y = x
    if expand != 1:
        with b.scope("expand"):
            y = conv(b, y, channels * expand, 1, activation=activation)
    with b.scope("depthwise"):
        y = conv(b, y, channels * expand, kernel, stride, groups=channels * expand, activation=activation)
    with b.scope("project"):
        y = conv(b, y, width, 1, activation=None)
    return b(ADD, x, y, name="add") if y.type.shape == x.type.shape else y


def head(b: Builder, x: Value, outputs: int, kind: str = "gap") -> Value:
    """Logits [1, outputs] from an image or row: `gap` averages over space, `flatten` keeps every position."""
    if len(x.type.shape) > 2:
        x = b(FLAT, b(GLOBAL, x, name="gap") if kind == "gap" else x, name="flat")
    return dense(b, x, outputs, "classifier")


def dense(b: Builder, x: Value, width: int, name: str) -> Value:
    """A fully connected layer with bias."""
    with b.scope(name):
        weight = b.param("weight", (width, x.type.shape[1]), init=NARROW)
        bias = b.param("bias", (width,), init=ZERO)
    return b(LINEAR, x, weight, bias, name=name)


def finish(b: Builder, y: Value) -> Any:
    """Declare the output and return the graph."""
    b.output(y)
    return b.graph()


def spatial(x: Value | Type) -> int:
    """The smallest spatial dimension (1 for a vector)."""
    shape = x.type.shape if isinstance(x, Value) else x.shape
    return min(shape[2:], default=1)


def rounded(channels: float, multiple: int = 8) -> int:
    """A channel count rounded to a multiple, never by more than a tenth down (Sandler et al. 2018)."""
    near = max(multiple, int(channels + multiple / 2) // multiple * multiple)
    return near + multiple if near < 0.9 * channels else near
