"""Normalisations, computed in fp32 and rounded once."""

from __future__ import annotations

import numpy as np

from ..call import Call, Kernel
from ..registry import op


@op("layer_norm")
def layer_norm(call: Call) -> Kernel:
    """(x - mean) / sqrt(variance + epsilon) over constant axes, times gamma plus beta of those axes' shape."""
    (x,) = call.floats("x")
    axes = call.axes(len(x.shape), default=None)
    shape = tuple(x.shape[a] for a in sorted(axes))
    spread = tuple(s if i in axes else 1 for i, s in enumerate(x.shape))
    gamma, beta = (_parameter(call, name, shape, spread) for name in ("gamma", "beta"))
    epsilon = np.float32(call.const("epsilon", 1e-5))
    return Kernel((x,), lambda v: _normalised(v, axes, epsilon, gamma, beta))


@op("instance_norm")
def instance_norm(call: Call) -> Kernel:
    """x [N, C, ...] normalised over the spatial axes of each channel, times gamma [C] plus beta [C]."""
    (x,) = call.floats("x")
    if len(x.shape) < 3:
        call.fail(f"x is {x}, expected [N, C, ...]")
    shape, spread = x.shape[1:2], (1, x.shape[1], *[1] * (len(x.shape) - 2))
    gamma, beta = (_parameter(call, name, shape, spread) for name in ("gamma", "beta"))
    epsilon = np.float32(call.const("epsilon", 1e-5))
    axes = tuple(range(2, len(x.shape)))
    return Kernel((x,), lambda v: _normalised(v, axes, epsilon, gamma, beta))


@op("batch_norm")
def batch_norm(call: Call) -> Kernel:
    """x [N, C, ...] with constant mean, variance, gamma and beta [C]: one factor and one term a channel."""
    (x,) = call.floats("x")
    if len(x.shape) < 2:
        call.fail(f"x is {x}, expected [N, C, ...]")
    shape, spread = x.shape[1:2], (1, x.shape[1], *[1] * (len(x.shape) - 2))
    mean, variance, gamma, beta = (
        _parameter(call, name, shape, spread) for name in ("mean", "variance", "gamma", "beta")
    )
    if mean is None or variance is None:
        call.fail("mean and variance are missing")
    with np.errstate(all="ignore"):
        factor = 1 / np.sqrt(variance + np.float32(call.const("epsilon", 1e-5)))
        factor = factor if gamma is None else factor * gamma
        term = -mean * factor if beta is None else beta - mean * factor
    return Kernel((x,), lambda v: v * factor + term)


@op("l2_norm")
def l2_norm(call: Call) -> Kernel:
    """x over the root of its squared sum along the last three axes, epsilon below."""
    (x,) = call.floats("x")
    epsilon = np.float32(call.const("epsilon", 1e-6))
    axes = tuple(range(max(len(x.shape) - 3, 0), len(x.shape)))
    return Kernel((x,), lambda v: v / np.sqrt(np.maximum(np.sum(v * v, axes, keepdims=True), epsilon)))


def _parameter(call: Call, name: str, shape: tuple[int, ...], spread: tuple[int, ...]) -> np.ndarray | None:
    """A constant of `shape`, in the shape that broadcasts over x; None where it is not given."""
    if not call.has(name):
        return None
    value = call.constant(name)
    if value is None or value.shape != shape or value.dtype != np.float32:
        call.fail(f"{name} must be a constant of shape {list(shape)}")
    return value.reshape(spread)


def _normalised(
    v: np.ndarray, axes: tuple[int, ...], epsilon: np.float32, gamma: np.ndarray | None, beta: np.ndarray | None
) -> np.ndarray:
    centred = v - v.mean(axes, keepdims=True)
    scale = 1 / np.sqrt(np.mean(centred * centred, axes, keepdims=True) + epsilon)
    centred *= scale
    if gamma is not None:
        centred *= gamma
    if beta is not None:
        centred += beta
    return centred

