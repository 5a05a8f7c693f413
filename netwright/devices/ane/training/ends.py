"""What the processor computes in float32: norms backwards, the output layer, cross-entropy (Orion 2026, section 12)."""

from __future__ import annotations

import numpy as np


def normalised(x: np.ndarray, epsilon: float) -> tuple[np.ndarray, np.ndarray]:
    """x [S, d] over its root mean square, and r [S, 1], one over that."""
    r = 1 / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + np.float32(epsilon))
    return x * r, r


def norm_gradient(
    unit: np.ndarray, r: np.ndarray, scale: np.ndarray, dn: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """dx [S, d] and dscale [d] of n = scale * unit, for dn [S, d]."""
    du = dn * scale
    dx = r * (du - unit * np.mean(du * unit, axis=-1, keepdims=True))
    return dx, np.sum(dn * unit, axis=0)


def cross_entropy(logits: np.ndarray, targets: np.ndarray) -> tuple[float, np.ndarray]:
    """Mean loss (nats a token) of logits [S, V] for targets [S], and its gradient [S, V]."""
    rows = np.arange(len(targets))
    shifted = logits - logits.max(axis=-1, keepdims=True)
    e = np.exp(shifted)
    total = e.sum(axis=-1, keepdims=True)
    loss = float(np.mean(np.log(total[:, 0]) - shifted[rows, targets]))
    gradient = e / total
    gradient[rows, targets] -= 1
    return loss, gradient / np.float32(len(targets))
