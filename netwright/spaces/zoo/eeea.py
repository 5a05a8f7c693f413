"""EEEA-Net: two cells of four blocks, ten operations with inverted residuals (Termritthikun et al. 2021, section 3.1).

A chromosome has 2 cells x 4 blocks x 2 branches x (operation, input); block b may read the states 0 to b + 1, so one
cell has (10 x 2)^2 (10 x 3)^2 (10 x 4)^2 (10 x 5)^2 = 1,440,000,000,000 members and the pair their square. Every block
is an output of its cell; with `concat="unused"` only those that no other reads, as NASNet has it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from netwright.graph import Type
from netwright.spaces import blocks, cells
from netwright.spaces.cell import Cell, CellPlan
from netwright.spaces.space import Build, Space
from netwright.spaces.zoo import darts

OPS: dict[Any, cells.Operation] = {
    "max_pool_3x3": cells.pool("max"),
    "avg_pool_3x3": cells.pool("average"),
    "skip_connect": cells.skip,
    "sep_conv_3x3": cells.separable(3),
    "sep_conv_5x5": cells.separable(5),
    "dil_conv_3x3": cells.separable(3, dilation=2, times=1),
    "dil_conv_5x5": cells.separable(5, dilation=2, times=1),
    "conv_7x1_1x7": cells.factorised(7),
    "inv_res_3x3": cells.inverted(3),
    "inv_res_5x5": cells.inverted(5),
}


def space(channels: int = 36, cells: int = 20, stem: str = "small", concat: str = "all") -> Space:
    """Published: 36 channels and 20 cells for CIFAR, 48 and 14 (stem "imagenet") for ImageNet, 16 and 8 in search.

    ValueError for fewer than 3 cells.
    """
    if channels < 2 or cells < 3 or stem not in ("small", "imagenet") or concat not in ("all", "unused"):
        raise ValueError(f'channels ({channels}) >= 2, cells ({cells}) >= 3, stem "small" or "imagenet" ({stem!r}), '
                         f'concat "all" or "unused" ({concat!r})')
    cell = Cell(4, 2, tuple(OPS), 2, distinct=False)
    tree = {"normal": cell, "reduction": cell}
    about = "EEEA-Net cells for images: DARTS and inverted residuals"
    return Space("eeea", tree, partial(build, channels, cells, stem, concat), about=about)


def build(
    channels: int, number: int, stem: str, concat: str, structure: Mapping[str, CellPlan], x: Type, y: Type
) -> Build:
    """x [1, C, H, W] -> logits [1, K], stacked as DARTS."""
    cells.need_images(x, "eeea")
    b, v = blocks.start("eeea", x)
    earlier, current = darts.stems(b, v, channels, stem)
    style = cells.Style(OPS, concat)
    v = cells.stack(b, earlier, current, darts.placed(structure, channels, number), style)
    return Build(cells.finish(b, v, y.shape[-1]))
