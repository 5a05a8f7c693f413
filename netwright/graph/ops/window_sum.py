"""Sums over windows of stride 1 by shifted additions, for torch on a processor: several times as fast as `avg_pool2d`
(`python -m benchmarks.scores speed`)."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

CACHED = 1 << 18  # elements at a time


def window_sum(x: Any, kernel: tuple[int, ...], factor: Any = None) -> Any:
    """x [N, C, H, W] -> the same shape: each place's sum over a window of odd sizes around it, zeros outside, times
    `factor` [H, W] where there is one.

    The window is symmetric, so the gradient is the same sum over the output's gradient times the factor.
    """
    return _function().apply(x, kernel, factor)


def _summed(x: Any, kernel: tuple[int, int]) -> Any:
    """A few images at a time, so that both directions find them in the cache."""
    import torch

    found = torch.empty_like(x)
    images = max(1, CACHED // max(1, math.prod(x.shape[1:])))
    for part, out in zip(x.split(images), found.split(images), strict=True):
        rows = part.clone()
        _shifted(rows, part, 2, kernel[0])
        _shifted(out.copy_(rows), rows, 3, kernel[1])
    return found


def _shifted(to: Any, x: Any, axis: int, size: int) -> None:
    """Add x, moved by every step within the window but 0, to `to`."""
    long = x.shape[axis]
    for step in range(1, min(size // 2, long - 1) + 1):
        to.narrow(axis, step, long - step).add_(x.narrow(axis, 0, long - step))
        to.narrow(axis, 0, long - step).add_(x.narrow(axis, step, long - step))


@cache
def _function() -> Any:
    import torch

    class WindowSum(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any, kernel: tuple[int, int], factor: Any) -> Any:
            ctx.kernel, ctx.factor = kernel, factor
            found = _summed(x, kernel)
            return found if factor is None else found.mul_(factor)

        @staticmethod
        def backward(ctx: Any, *gradients: Any) -> Any:
            dy = gradients[0] if ctx.factor is None else gradients[0] * ctx.factor
            return WindowSum.apply(dy, ctx.kernel, None), None, None

    return WindowSum
