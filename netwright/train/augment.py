"""Augmentation of whole batches, drawn from one torch generator."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.nn import functional

from .recipe import Augment


def augmented(x: torch.Tensor, options: Augment, rng: torch.Generator) -> torch.Tensor:
    """x [n, C, H, W], [n, C, L] or [n, F], of texts whole numbers [n, T], changed at random; the shape stays."""
    if not x.is_floating_point():
        return x * (torch.rand(x.shape, generator=rng) >= options.drop).to(x.device) if options.drop else x
    if x.dim() == 4:
        x = _warped(x, options, rng)
    elif x.dim() == 3 and options.shift:
        x = _slid(x, round(options.shift), rng)
    if options.flip and x.dim() == 4:
        chosen = torch.rand(len(x), generator=rng) < 0.5
        x = torch.where(chosen.to(x.device)[:, None, None, None], x.flip(-1), x)
    level = options.brightness if x.dim() == 4 else options.scale if x.dim() == 3 else 0.0
    if level:
        x = x * torch.exp(_uniform((len(x), *[1] * (x.dim() - 1)), level, rng).to(x.device))
    if options.noise:
        x = x + (torch.randn(x.shape, generator=rng) * options.noise).to(x.device)
    return x


def _uniform(shape: tuple[int, ...], bound: float, rng: torch.Generator) -> torch.Tensor:
    return (torch.rand(shape, generator=rng) * 2 - 1) * bound


def _warped(x: torch.Tensor, options: Augment, rng: torch.Generator) -> torch.Tensor:
    """One random affine map an image, and a smooth random displacement."""
    if not any((options.rotate, options.scale, options.shear, options.shift, options.elastic)):
        return x
    n, _, height, width = x.shape
    turn = _uniform((n,), math.radians(options.rotate), rng)
    wide, tall = (torch.exp(_uniform((n,), options.scale, rng)) for _ in range(2))
    lean = _uniform((n,), options.shear, rng)
    cos, sin = turn.cos(), turn.sin()
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0], theta[:, 0, 1] = cos * wide, (lean * cos - sin) * wide
    theta[:, 1, 0], theta[:, 1, 1] = sin * tall, (cos + lean * sin) * tall
    theta[:, 0, 2] = _uniform((n,), options.shift, rng) * 2 / width
    theta[:, 1, 2] = _uniform((n,), options.shift, rng) * 2 / height
    grid = functional.affine_grid(theta.to(x.device), [n, 1, height, width], align_corners=False)
    if options.elastic:
        coarse = torch.randn(n, 2, 3, 3, generator=rng) * (options.elastic * 2 / max(height, width))
        smooth = functional.interpolate(coarse, size=(height, width), mode="bilinear", align_corners=True)
        grid = grid + smooth.permute(0, 2, 3, 1).to(x.device)
    mode: Any = "bicubic" if options.bicubic else "bilinear"
    low, high = (float(v) for v in (x.min(), x.max()))
    return functional.grid_sample(x, grid, mode=mode, padding_mode="zeros", align_corners=False).clamp_(
        min(low, 0.0), max(high, 0.0)
    )


def _slid(x: torch.Tensor, most: int, rng: torch.Generator) -> torch.Tensor:
    """Each series moved by up to `most` steps; the edges repeat."""
    length = x.shape[-1]
    by = torch.randint(-most, most + 1, (len(x), 1, 1), generator=rng)
    places = (torch.arange(length) + by).clamp(0, length - 1).expand(-1, x.shape[1], -1).to(x.device)
    return x.gather(2, places)
