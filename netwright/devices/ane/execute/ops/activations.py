"""Activation functions; in fp32, or by the engine's tables where `Numerics.activation_step` says so."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

import numpy as np

from ..call import Call, Kernel
from ..registry import op

_ERF_END = 4.0  # beyond it, erf is 1 in fp32
_ERF_CELLS = 1 << 16


@cache
def _erf_table() -> tuple[np.ndarray, np.ndarray]:
    grid = np.linspace(-_ERF_END, _ERF_END, _ERF_CELLS + 1)
    return grid, np.array([math.erf(v) for v in grid])


def erf(x: np.ndarray) -> np.ndarray:
    """erf, within 2e-9 (linear between 65,537 points)."""
    return np.interp(x, *_erf_table()).astype(np.float32)


def sigmoid(x: np.ndarray) -> np.ndarray:
    """1 / (1 + e^-x)"""
    y = np.exp(-x)
    y += np.float32(1)
    return np.reciprocal(y, out=y)


def silu(x: np.ndarray) -> np.ndarray:
    """x sigmoid(x); 0 in the far negative tail."""
    return x * sigmoid(np.maximum(x, np.float32(-80)))


def softplus(x: np.ndarray) -> np.ndarray:
    """log(1 + e^x)"""
    return np.logaddexp(x, np.float32(0)).astype(np.float32)


def _gelu_exact(x: np.ndarray) -> np.ndarray:
    return np.float32(0.5) * x * (1 + erf(x * np.float32(math.sqrt(0.5))))


def _gelu_tanh(x: np.ndarray) -> np.ndarray:
    return np.float32(0.5) * x * (1 + np.tanh(np.float32(math.sqrt(2 / math.pi)) * (x + np.float32(0.044715) * x**3)))


def _gelu_sigmoid(x: np.ndarray) -> np.ndarray:
    return x * sigmoid(np.float32(1.702) * x)


_GELU = {"EXACT": _gelu_exact, "TANH_APPROXIMATION": _gelu_tanh, "SIGMOID_APPROXIMATION": _gelu_sigmoid}
_PLAIN: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "erf": erf,
    "sigmoid": sigmoid,
    "silu": silu,
    "softplus": softplus,
    "softsign": lambda x: x / (1 + np.abs(x)),
    "tanh": np.tanh,
}


@op(*_PLAIN)
def plain(call: Call) -> Kernel:
    """erf, sigmoid, silu, softplus, softsign, tanh."""
    return _kernel(call, _PLAIN[call.statement.op])


@op("gelu")
def gelu(call: Call) -> Kernel:
    """x Phi(x); mode EXACT, TANH_APPROXIMATION or SIGMOID_APPROXIMATION."""
    mode = call.const("mode", "EXACT")
    if mode not in _GELU:
        call.fail(f"mode is {mode!r}, expected {', '.join(_GELU)}")
    return _kernel(call, _GELU[mode])


@op("relu", "relu6")
def relu(call: Call) -> Kernel:
    """max(x, 0), up to 6 for relu6."""
    (x,) = call.floats("x")
    zero, six = np.float32(0), np.float32(6)
    if call.statement.op == "relu":
        return Kernel((x,), lambda v: np.maximum(v, zero), exact=True)
    return Kernel((x,), lambda v: np.clip(v, zero, six), exact=True)


@op("leaky_relu", "elu", "thresholded_relu", "clamped_relu", "scaled_tanh", "sigmoid_hard", "linear_activation")
def with_constants(call: Call) -> Kernel:
    """Activations with constants alpha and beta."""
    name = call.statement.op
    two = name in ("clamped_relu", "scaled_tanh", "sigmoid_hard", "linear_activation")
    a = np.float32(call.const("alpha"))
    b = np.float32(call.const("beta")) if two else np.float32(0)
    functions: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "leaky_relu": lambda v: np.where(v >= 0, v, a * v),
        "elu": lambda v: np.where(v >= 0, v, a * np.expm1(v)),
        "thresholded_relu": lambda v: np.where(v >= a, v, np.float32(0)),
        "clamped_relu": lambda v: np.minimum(np.where(v >= 0, v, a * v), b),
        "scaled_tanh": lambda v: a * np.tanh(b * v),
        "sigmoid_hard": lambda v: np.clip(a * v + b, np.float32(0), np.float32(1)),
        "linear_activation": lambda v: a * v + b,
    }
    return _kernel(call, functions[name])


@op("prelu")
def prelu(call: Call) -> Kernel:
    """x where it is positive, else alpha[c] x; the channels are axis 1."""
    (x,) = call.floats("x")
    alpha = call.constant("alpha")
    if alpha is None or len(x.shape) < 2 or alpha.shape != (x.shape[1],):
        call.fail("alpha must be a constant with one number a channel")
    a = alpha.reshape(-1, *[1] * (len(x.shape) - 2))
    return Kernel((x,), lambda v: np.where(v >= 0, v, a * v))


@op("softmax")
def softmax(call: Call) -> Kernel:
    """softmax along a constant axis: the largest element is subtracted, the sum is accumulated in fp32."""
    (x,) = call.floats("x")
    axis = call.axis(len(x.shape), default=-1)
    numerics = call.numerics

    def run(v: np.ndarray) -> np.ndarray:
        y = v - v.max(axis, keepdims=True)
        y = numerics.activation(np.exp, y)
        y /= y.sum(axis, keepdims=True)
        return y

    return Kernel((x,), run)


def _kernel(call: Call, function: Callable[[np.ndarray], np.ndarray]) -> Kernel:
    (x,) = call.floats("x")
    numerics = call.numerics
    return Kernel((x,), lambda v: numerics.activation(function, v))
