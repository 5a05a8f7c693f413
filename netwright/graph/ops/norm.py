"""Normalisations. Batch norm is primitive because training computes something else; the others are compositions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..builder import Builder
from ..graph import Node, Value
from ..op import Composite, Op
from ..types import Type
from .binary import Add, Mul, Sub
from .common import need_same_dtype, scalar, torch_module
from .reduce import ReduceMean, ReduceSum
from .shape import Reshape
from .unary import Rsqrt


@dataclass(frozen=True)
class BatchNorm(Op):
    """x [N, C, ...], scale, bias, mean, variance [C] -> scale * (x - mean) / sqrt(variance + epsilon) + bias.

    In training mode torch normalises by the batch and moves mean and variance towards it by `momentum`.
    """

    training_differs: ClassVar[bool] = True
    epsilon: float = 1e-5
    momentum: float = 0.1

    def types(self, x: Type, scale: Type, bias: Type, mean: Type, variance: Type) -> tuple[Type, ...]:  # type: ignore[override]
        need_same_dtype(self.name, x, scale, bias, mean, variance)
        if len(x.shape) < 2 or {scale.shape, bias.shape, mean.shape, variance.shape} != {(x.shape[1],)}:
            channels = x.shape[1] if len(x.shape) > 1 else "C"
            raise ValueError(f"batch_norm of {list(x.shape)} needs four parameters of shape [{channels}]")
        return (x,)

    def numpy(self, x: Any, scale: Any, bias: Any, mean: Any, variance: Any) -> Any:
        shape = (-1, *[1] * (x.ndim - 2))
        factor = scale / np.sqrt(variance + np.asarray(self.epsilon, x.dtype))
        return x * factor.reshape(shape) + (bias - mean * factor).reshape(shape)

    def torch(self, x: Any, scale: Any, bias: Any, mean: Any, variance: Any) -> Any:
        return torch_module().nn.functional.batch_norm(x, mean, variance, scale, bias, False, 0.0, self.epsilon)

    def torch_training(self, x: Any, scale: Any, bias: Any, mean: Any, variance: Any) -> Any:
        """Batch statistics; `mean` and `variance` are updated in place."""
        return torch_module().nn.functional.batch_norm(
            x, mean, variance, scale, bias, True, self.momentum, self.epsilon
        )

    def gradient(self, b: Builder, node: Node, dy: Value) -> tuple[Value | None, ...]:  # type: ignore[override]
        x, scale, _, mean, variance = node.inputs
        assert x is not None and scale is not None and mean is not None and variance is not None
        shape = (-1, *[1] * (len(x.shape) - 2))
        inverse = b(Rsqrt(), b(Add(), variance, scalar(b, self.epsilon, variance)))
        axes = (0, *range(2, len(x.shape)))
        dx = b(Mul(), dy, b(Reshape(shape), b(Mul(), scale, inverse)))
        centred = b(Sub(), x, b(Reshape(shape), mean))
        normal = b(Mul(), centred, b(Reshape(shape), inverse))
        dscale = b(ReduceSum(axes, False), b(Mul(), dy, normal))
        dbias = b(ReduceSum(axes, False), dy)
        dmean = b(Mul(), dbias, b(Mul(), b(Mul(), scale, inverse), scalar(b, -1.0, dy)))
        factor = b(Mul(), b(Mul(), scale, b(Mul(), inverse, inverse)), scalar(b, -0.5, dy))
        return dx, dscale, dbias, dmean, b(Mul(), dscale, factor)


def _normalise(b: Builder, x: Value, axes: tuple[int, ...], epsilon: float) -> Value:
    centred = b(Sub(), x, b(ReduceMean(axes, True), x))
    variance = b(ReduceMean(axes, True), b(Mul(), centred, centred))
    return b(Mul(), centred, b(Rsqrt(), b(Add(), variance, scalar(b, epsilon, x))))


def _affine(b: Builder, x: Value, scale: Value | None, bias: Value | None) -> Value:
    y = b(Mul(), x, scale) if scale is not None else x
    return b(Add(), y, bias) if bias is not None else y


@dataclass(frozen=True)
class LayerNorm(Composite):
    """Normalise over the last `dims` dimensions, then scale and bias of their shape (Ba et al. 2016)."""

    epsilon: float = 1e-5
    dims: int = 1

    def expand(self, b: Builder, x: Value, scale: Value | None = None, bias: Value | None = None) -> Value:  # type: ignore[override]
        axes = tuple(range(-self.dims, 0))
        return _affine(b, _normalise(b, x, axes, self.epsilon), scale, bias)


@dataclass(frozen=True)
class RMSNorm(Composite):
    """x / sqrt(mean(x^2) + epsilon) over the last dimension, then scale (Zhang and Sennrich 2019, eq. 4)."""

    epsilon: float = 1e-6

    def expand(self, b: Builder, x: Value, scale: Value | None = None) -> Value:  # type: ignore[override]
        power = b(ReduceMean((-1,), True), b(Mul(), x, x))
        return _affine(b, b(Mul(), x, b(Rsqrt(), b(Add(), power, scalar(b, self.epsilon, x)))), scale, None)


@dataclass(frozen=True)
class GroupNorm(Composite):
    """Normalise x [N, C, ...] over each group of channels and space (Wu and He 2018); groups=C is instance norm."""

    groups: int = 1
    epsilon: float = 1e-5

    def expand(self, b: Builder, x: Value, scale: Value | None = None, bias: Value | None = None) -> Value:  # type: ignore[override]
        channels, spatial = x.shape[1], len(x.shape) - 2
        if channels % self.groups:
            raise ValueError(f"group_norm of {channels} channels in {self.groups} groups")
        grouped = b(Reshape((0, self.groups, -1)), x)
        normal = b(Reshape((0, *x.shape[1:])), _normalise(b, grouped, (-1,), self.epsilon))
        shape = (channels, *[1] * spatial)
        return _affine(
            b,
            normal,
            b(Reshape(shape), scale) if scale is not None else None,
            b(Reshape(shape), bias) if bias is not None else None,
        )
