"""From a derivation of einspace to a Graph: stem identity, head the mean over pixels or tokens and a linear map."""

from __future__ import annotations

from functools import lru_cache
from math import sqrt
from typing import Any

import numpy as np

from netwright.graph import Builder, Init, Type, Value
from netwright.graph.ops.binary import Add, Mul
from netwright.graph.ops.conv import Conv
from netwright.graph.ops.index import Gather
from netwright.graph.ops.linear import Matmul
from netwright.graph.ops.norm import LayerNorm
from netwright.graph.ops.reduce import ReduceMean
from netwright.graph.ops.shape import TO_END, Concat, Pad, Reshape, Slice, Split, Transpose
from netwright.graph.ops.softmax import Softmax
from netwright.graph.ops.unary import LeakyRelu
from netwright.spaces import blocks
from netwright.spaces.einspace.rules import (
    BRANCHINGS,
    CONCATS,
    KERNELS,
    LINEAR,
    ORDERS,
    Grid,
    Shape,
    operation,
    patches,
)
from netwright.spaces.grammar import Derivation
from netwright.spaces.space import Build

RECIPE = {"optimiser": "sgd", "rate": 0.04, "decay": 3e-4}  # section 4.1
SMALL = Init("normal", 0.02)
Feature = tuple[Value, Grid]


def build(structure: Any, x: Type, y: Type) -> Build:
    """x [1, C, H, W] -> logits [1, K]. Parameters are named by the addresses of the derivation."""
    b, v = blocks.start("einspace", x)
    v, _ = Network(b).module(structure["network"], (v, None), "network")
    pooled = b(ReduceMean((2, 3) if len(v.shape) == 4 else (1,), False), v, name="pool")
    return Build(blocks.finish(b, blocks.dense(b, pooled, y.shape[-1], "classifier")), dict(RECIPE))


class Network:
    """Adds a derivation's operations to a builder. Images are [N, C, H, W], tokens [N, S, D]."""

    def __init__(self, b: Builder) -> None:
        self.b = b

    def module(self, derivation: Derivation, given: Feature, name: str) -> Feature:
        """One module; `name` begins the names of its parameters."""
        _, production, parts = derivation
        inner = [f"{name}.{production[0]}{place}" for place in range(len(parts))]
        if production == "sequential":
            return self.module(parts[1], self.module(parts[0], given, inner[0]), inner[1])
        if production == "branching":
            return self._branching(parts[0], given, inner[0])
        if production == "computation":
            return self._operation(parts[0].production, given, inner[0])
        before, module, after = parts
        kernel, width = KERNELS.get(before.production), _linear(module)
        if kernel and width and after.production == "col2im":
            return self._convolution(kernel, width, given, inner[1])
        made = self.module(module, self._operation(before.production, given, inner[0]), inner[1])
        return self._operation(after.production, made, inner[2])

    def _branching(self, derivation: Derivation, given: Feature, name: str) -> Feature:
        _, production, parts = derivation
        value, grid = given
        dim, number = BRANCHINGS[production]
        share = value.shape[dim] // number
        values: Any = self.b(Split(dim, (share,) * number), value, name="split") if dim else (value,) * number
        modules = (parts[0], parts[2]) if number == 2 else (parts[0],) * number
        ends = [self.module(module, (v, grid), f"{name}.{production}{place}")
                for place, (module, v) in enumerate(zip(modules, values, strict=True))]
        kept = ends[0][1] if ends[0][1] == ends[-1][1] else grid
        return self._joined(parts[-1].production, [v for v, _ in ends]), kept

    def _joined(self, production: str, values: list[Value]) -> Value:
        b = self.b
        if production in CONCATS:
            return b(Concat(CONCATS[production]), *values, name="concat")
        if production == "add":
            total = values[0]
            for value in values[1:]:
                total = b(blocks.ADD, total, value, name="add")
            return total
        made = b(Matmul(), values[0], values[1], name="dot")
        if production == "dot":
            return made
        return b(Mul(), made, b.constant(np.float32(1 / sqrt(values[0].shape[-1])), "scale"), name="scaled")

    def _operation(self, production: str, given: Feature, name: str) -> Feature:
        b, (v, grid) = self.b, given
        after = operation(production, v.shape[1:], grid)
        if after is None:
            raise ValueError(f"{name}: {production} of {list(v.shape)}")
        if production in LINEAR:
            weight = b.param(f"{name}.weight", (LINEAR[production], v.shape[-1]), init=blocks.NARROW)
            bias = b.param(f"{name}.bias", (LINEAR[production],), init=blocks.ZERO)
            made = b(blocks.LINEAR, v, weight, bias, name="linear")
        elif production in ORDERS:
            made = b(Transpose((0, *(place + 1 for place in ORDERS[production]))), v, name="permute")
        elif production in KERNELS:
            made = self._columns(v, *KERNELS[production])
        elif production == "col2im":
            made = b(Reshape((0, *after.shape)), b(Transpose((0, 2, 1)), v), name="image")
        elif production == "norm":
            made = self._norm(v, name)
        elif production == "position":
            made = b(Add(), v, b.param(f"{name}.position", v.shape[1:], init=SMALL), name="position")
        elif production == "leaky-relu":
            made = b(LeakyRelu(), v, name="leaky_relu")
        else:
            made = b(Softmax(), v, name="softmax") if production == "softmax" else v
        return made, after.grid or grid

    def _norm(self, v: Value, name: str) -> Value:
        """Batch norm of an image, layer norm of tokens."""
        if len(v.shape) == 4:
            with self.b.scope(name):
                return blocks.norm(self.b, v)
        scale = self.b.param(f"{name}.scale", v.shape[-1:], init=blocks.ONE)
        bias = self.b.param(f"{name}.bias", v.shape[-1:], init=blocks.ZERO)
        return self.b(LayerNorm(), v, scale, bias, name="norm")

    def _convolution(self, kernel: tuple[int, int, int], width: int, given: Feature, name: str) -> Feature:
        """im2col, linear, col2im as one convolution: weight [O, C, k, k] is the linear map's [O, C * k * k]."""
        b, (v, _) = self.b, given
        size, stride, padding = kernel
        weight = b.param(f"{name}.weight", (width, v.shape[1], size, size), init=blocks.HE)
        bias = b.param(f"{name}.bias", (width,), init=blocks.ZERO)
        made = b(Conv((stride,) * 2, (padding,) * 4, (1, 1), 1), v, weight, bias, name="conv")
        return made, (made.shape[2], made.shape[3])

    def _columns(self, v: Value, kernel: int, stride: int, padding: int) -> Value:
        """im2col: [N, C, H, W] -> [N, H' * W', C * k * k]."""
        b, channels = self.b, v.shape[1]
        down, across = patches(v.shape[1:], kernel, stride, padding)
        if kernel == 1 and stride > 1:
            v = b(Slice((0, 0, 0, 0), (TO_END, *v.shape[1:]), (1, 1, stride, stride)), v, name="stride")
        elif kernel > stride:
            if padding:
                v = b(Pad((0, 0, padding, padding) * 2), v, name="pad")
            where = b.constant(_taps(v.shape[1:], kernel, stride), "taps")
            v = b(Gather(2), b(Reshape((0, channels, -1)), v), where, name="patches")
        elif kernel > 1:
            used = (down * kernel, across * kernel)
            if used != v.shape[2:]:
                v = b(Slice((0, 0, 0, 0), (TO_END, channels, *used)), v, name="whole")
            v = b(Reshape((0, channels, down, kernel, across, kernel)), v)
            v = b(Transpose((0, 2, 4, 1, 3, 5)), v)
            return b(Reshape((0, down * across, channels * kernel * kernel)), v, name="columns")
        v = b(Reshape((0, channels * kernel * kernel, down * across)), v)
        return b(Transpose((0, 2, 1)), v, name="columns")


def _linear(module: Derivation) -> int | None:
    """The width where a module is one linear map."""
    return LINEAR.get(module.parts[0].production) if module.production == "computation" else None


@lru_cache(maxsize=256)
def _taps(shape: Shape, kernel: int, stride: int) -> np.ndarray:
    """Where in the flattened image [H * W] each tap of each patch lies: int64 [k * k, H' * W']."""
    _, height, width = shape
    places = np.arange(height * width, dtype=np.int64).reshape(height, width)
    windows = np.lib.stride_tricks.sliding_window_view(places, (kernel, kernel))[::stride, ::stride]
    down, across = windows.shape[:2]
    return np.ascontiguousarray(windows.transpose(2, 3, 0, 1).reshape(kernel * kernel, down * across))


