"""Small int8 networks with random weights and scales that keep most values inside their range."""

from __future__ import annotations

from typing import Any

import numpy as np

from netwright.graph import Builder, Graph, Quant, Type, Value
from netwright.graph.ops.int8.conv import QConv, QLinear
from netwright.graph.ops.int8.elementwise import QAdd
from netwright.graph.ops.int8.pool import QAveragePool, QMaxPool
from netwright.graph.ops.int8.reduce import QMean
from netwright.graph.ops.shape import Reshape

INPUT = Quant(0.02, -3)


class Net:
    """Adds layers with drawn weights to a builder."""

    def __init__(self, seed: int, name: str = "small") -> None:
        self.b = Builder(name)
        self.rng = np.random.default_rng(seed)

    def _constants(self, name: str, shape: tuple[int, ...], x: Quant) -> tuple[Value, Value, Value]:
        fan_in = int(np.prod(shape[1:]))
        scale = (self.rng.uniform(0.5, 1.5, shape[0]) / 60 / np.sqrt(fan_in)).astype(np.float32)
        w = np.clip(self.rng.normal(0, 45, shape), -127, 127).astype(np.int8)
        bias = (self.rng.normal(0, 0.2, shape[0]) / (scale * x.scale)).astype(np.int32)
        return (
            self.b.constant(w, f"{name}.w"),
            self.b.constant(scale, f"{name}.s"),
            self.b.constant(bias, f"{name}.b"),
        )

    def conv(self, x: Value, out: int, kernel: int, name: str, low: int = -128, **options: Any) -> Value:
        groups = options.get("groups", 1)
        quant = Quant(0.025, -10)
        assert x.type.quant is not None
        w, s, bias = self._constants(name, (out, kernel, kernel, x.shape[3] // groups), x.type.quant)
        return self.b(QConv(x=x.type.quant, out=quant, low=low, **options), x, w, s, bias, name=name)

    def linear(self, x: Value, out: int, name: str) -> Value:
        assert x.type.quant is not None
        w, s, bias = self._constants(name, (out, x.shape[1]), x.type.quant)
        return self.b(QLinear(x=x.type.quant, out=Quant(0.04, 2)), x, w, s, bias, name=name)

    def add(self, x: Value, y: Value, name: str) -> Value:
        assert x.type.quant is not None and y.type.quant is not None
        return self.b(QAdd(x.type.quant, y.type.quant, Quant(0.03, -5)), x, y, name=name)


def pointwise(seed: int = 0) -> Graph:
    """A pointwise convolution, a mean and a linear layer: the thinnest network that trains."""
    net = Net(seed, "pointwise")
    x = net.b.input("x", Type((1, 4, 4, 6), "int8", INPUT))
    y = net.conv(x, 8, 1, "first", low=-10)
    y = net.b(QMean((1, 2), False, y.type.quant, Quant(0.02, 4)), y, name="mean")
    net.b.output(net.linear(y, 3, "head"))
    return net.b.graph()


def residual(seed: int = 0) -> Graph:
    """Every kind of layer: a general and strided convolution, an inverted bottleneck around a sum, pool, linear."""
    net = Net(seed, "residual")
    x = net.b.input("x", Type((1, 9, 8, 3), "int8", INPUT))
    stem = net.conv(x, 8, 3, "stem", low=-10, stride=(2, 2), padding=(1, 0, 1, 1))
    wide = net.conv(stem, 16, 1, "expand", low=-10)
    deep = net.conv(wide, 16, 3, "depthwise", low=-10, padding=(1, 1, 1, 1), groups=16)
    thin = net.conv(deep, 8, 1, "project")
    both = net.add(stem, thin, "sum")
    down = net.conv(both, 12, 3, "down", stride=(2, 1), padding=(1, 1, 1, 1), groups=4)
    most = net.b(QMaxPool((1, 2), (1, 1), (0, 1, 0, 0)), down, name="most")
    pooled = net.b(QAveragePool((2, 2), (2, 2), (0, 0, 1, 0)), most, name="pool")
    flat = net.b(Reshape((1, pooled.type.size)), pooled)
    net.b.output(net.linear(flat, 4, "head"))
    return net.b.graph()


def data(graph: Graph, count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """x int8 [n, ...] and labels int32 [n]: a class is a direction in the input."""
    rng = np.random.default_rng(seed)
    shape, classes = graph.inputs[0].shape[1:], graph.outputs[0].shape[-1]
    centres = rng.normal(0, 40, (classes, *shape))
    labels = rng.integers(0, classes, count).astype(np.int32)
    return np.clip(centres[labels] + rng.normal(0, 25, (count, *shape)), -128, 127).astype(np.int8), labels
