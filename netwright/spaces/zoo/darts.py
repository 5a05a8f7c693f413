"""DARTS: a normal and a reduction cell of four nodes, two edges a node, seven operations (Liu et al. 2019, section 3).

Count: a node reads two different states of those before it and each edge has one of 7 operations, so one cell has
1 x 3 x 6 x 10 x 7^8 = 1,037,664,180 members and the pair their square, 1.08e18: the paper's 10^18 (appendix A.3, before
isomorphism). The eighth operation, "none", serves only the continuous relaxation and is in no discrete cell.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from netwright.graph import Builder, Type, Value
from netwright.spaces import blocks, cells
from netwright.spaces.candidate import Candidate
from netwright.spaces.cell import Cell, CellPlan
from netwright.spaces.space import Build, Space

OPS: dict[str, cells.Operation] = {
    "max_pool_3x3": cells.pool("max"),
    "avg_pool_3x3": cells.pool("average"),
    "skip_connect": cells.skip,
    "sep_conv_3x3": cells.separable(3),
    "sep_conv_5x5": cells.separable(5),
    "dil_conv_3x3": cells.separable(3, dilation=2, times=1),
    "dil_conv_5x5": cells.separable(5, dilation=2, times=1),
}
STYLE = cells.Style(OPS)
Edges = Sequence[tuple[str, int]]  # (operation, state), two a node, as genotypes are published


def space(channels: int = 36, cells: int = 20, stem: str = "small") -> Space:
    """C channels in the first cells; `stem` "small" keeps the image's size, "imagenet" divides it by 8.

    Published: 36 channels and 20 cells for CIFAR, 48 and 14 for ImageNet. ValueError for fewer than 3 cells.
    """
    if channels < 2 or cells < 3 or stem not in ("small", "imagenet"):
        raise ValueError(f'channels ({channels}) >= 2, cells ({cells}) >= 3, stem "small" or "imagenet", not {stem!r}')
    cell = Cell(4, 2, tuple(OPS), 2)
    tree = {"normal": cell, "reduction": cell}
    about = "DARTS cells for images: separable and dilated convolutions"
    return Space("darts", tree, partial(build, channels, cells, stem), about=about)


def candidate(normal: Edges, reduction: Edges) -> Candidate:
    """The candidate of a published genotype."""
    trace: dict[str, Any] = {}
    for kind, edges in (("normal", normal), ("reduction", reduction)):
        for node in range(len(edges) // 2):
            pair = sorted(edges[2 * node : 2 * node + 2], key=lambda edge: edge[1])
            if node:  # the first node reads both inputs of the cell
                trace[f"{kind}/{node}/inputs"] = tuple(state for _, state in pair)
            trace.update({f"{kind}/{node}/{place}/op": op for place, (op, _) in enumerate(pair)})
    return Candidate(trace)


def build(channels: int, number: int, stem: str, structure: Mapping[str, CellPlan], x: Type, y: Type) -> Build:
    """x [1, C, H, W] -> logits [1, K]; the cells at one and two thirds of the depth reduce and double the width."""
    cells.need_images(x, "darts")
    b, v = blocks.start("darts", x)
    earlier, current = stems(b, v, channels, stem)
    v = cells.stack(b, earlier, current, placed(structure, channels, number), STYLE)
    return Build(cells.finish(b, v, y.shape[-1]))


def stems(b: Builder, x: Value, channels: int, stem: str) -> tuple[Value, Value]:
    """The two inputs of the first cell."""
    with b.scope("stem"):
        if stem == "small":
            v = cells.conv_norm(b, x, 3 * channels, 3)
            return v, v
        with b.scope("a"):
            v = cells.conv_norm(b, x, channels // 2, 3, 2)
        with b.scope("b"):
            earlier = cells.relu_conv(b, v, channels, 3, 2)
        with b.scope("c"):
            return earlier, cells.relu_conv(b, earlier, channels, 3, 2)


def placed(structure: Mapping[str, CellPlan], channels: int, number: int) -> Iterator[cells.Placed]:
    """The stack, cell by cell."""
    for place in range(number):
        reduction = place in (number // 3, 2 * number // 3)
        channels *= 2 if reduction else 1
        yield cells.Placed(f"cell{place}", structure["reduction" if reduction else "normal"], channels, reduction)
