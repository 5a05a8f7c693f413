"""NASNet: two cells of B blocks, 13 operations, outputs that nothing reads are concatenated (Zoph et al. 2018, 3).

A block chooses two states, an operation for each, and add or concat: with B = 5 one cell has (2 3 4 5 6)^2 (13^2 2)^5 =
2,286,906,949,584,691,200 members and the pair their square. What concat joins passes a 1x1 convolution, so that every
state has the cell's width. A network is called N @ F: N normal cells in a row, F channels in the last.

`NASNET_A` is the paper's best pair of cells. The networks released with it concatenate one state more in each cell than
the rule says (`RELEASED`: h[i-1] in normal cells, the second block in reductions); their published sizes, such as
4 @ 1056 = 6 x 4 x 44, count these.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from netwright.graph import Builder, Type, Value
from netwright.spaces import blocks, cells
from netwright.spaces.candidate import Candidate
from netwright.spaces.cell import Cell, CellPlan
from netwright.spaces.space import Build, Space

States = tuple[tuple[int, ...], tuple[int, ...]]


def identity(b: Builder, x: Value, width: int, stride: int) -> Value:
    """Itself, or a 1x1 convolution where width or size must change."""
    return x if stride == 1 and x.shape[1] == width else cells.relu_conv(b, x, width, 1, stride)


OPS: dict[Any, cells.Operation] = {
    "identity": identity,
    "conv_1x3_3x1": cells.factorised(3),
    "conv_1x7_7x1": cells.factorised(7),
    "dil_conv_3x3": cells.dense(3, dilation=2),
    "avg_pool_3x3": cells.pool("average"),
    "max_pool_3x3": cells.pool("max", 3),
    "max_pool_5x5": cells.pool("max", 5),
    "max_pool_7x7": cells.pool("max", 7),
    "conv_1x1": cells.dense(1),
    "conv_3x3": cells.dense(3),
    "sep_conv_3x3": cells.separable(3),
    "sep_conv_5x5": cells.separable(5),
    "sep_conv_7x7": cells.separable(7),
}
COMBINE = ("add", "concat")
RELEASED: States = ((0,), (3,))
_A = {  # (operation, state) twice a block; state 0 is h[i-1], 1 is h[i]
    "normal": (
        ("sep_conv_5x5", 1, "sep_conv_3x3", 0),
        ("sep_conv_5x5", 0, "sep_conv_3x3", 0),
        ("avg_pool_3x3", 1, "identity", 0),
        ("avg_pool_3x3", 0, "avg_pool_3x3", 0),
        ("sep_conv_3x3", 1, "identity", 1),
    ),
    "reduction": (
        ("sep_conv_5x5", 1, "sep_conv_7x7", 0),
        ("max_pool_3x3", 1, "sep_conv_7x7", 0),
        ("avg_pool_3x3", 1, "sep_conv_5x5", 0),
        ("identity", 3, "avg_pool_3x3", 2),
        ("sep_conv_3x3", 2, "max_pool_3x3", 1),
    ),
}
NASNET_A = Candidate({
    address: value
    for kind, nodes in _A.items()
    for node, (first, one, second, two) in enumerate(nodes)
    for address, value in (
        (f"{kind}/{node}/0/from", one), (f"{kind}/{node}/0/op", first),
        (f"{kind}/{node}/1/from", two), (f"{kind}/{node}/1/op", second), (f"{kind}/{node}/combine", "add"),
    )
})


def space(
    channels: int = 32,
    repeats: int = 2,
    blocks: int = 5,
    ops: tuple[str, ...] = tuple(OPS),
    stem: int | None = None,
    also: States = ((), ()),
    skipping: bool = False,
) -> Space:
    """`channels` in the first normal cells, doubled by each reduction; `repeats` is N, `blocks` B.

    stem      None: a 3x3 convolution to 3 x channels (CIFAR); a number: so many channels at half the size and two
              reductions more, as for ImageNet (32 for 4 @ 1056, 96 for 6 @ 4032)
    also      states of a normal and of a reduction cell that are outputs beside the unused ones
    skipping  the cell after a reduction reads the one before it, not the reduction's input (6 @ 4032)
    Children in the paper's search had N = 2 and 32 channels. ValueError for sizes below 1 or unknown operations.
    """
    unknown = [op for op in ops if op not in OPS]
    if unknown or min(channels // 4, repeats, blocks) < 1:
        raise ValueError(f"channels ({channels}) >= 4, repeats ({repeats}) and blocks ({blocks}) >= 1, operations out "
                         f"of {', '.join(OPS)}{f', not {unknown[0]!r}' if unknown else ''}")
    cell = Cell(blocks, 2, ops, 2, distinct=False, combine=COMBINE)
    style = cells.Style(OPS, "unused", adapt=False, also=also)
    about = "NASNet cells for images: 13 operations, unused outputs concatenated"
    tree = {"normal": cell, "reduction": cell}
    return Space("nasnet", tree, partial(build, channels, repeats, stem, skipping, style), about=about)


def build(
    channels: int, repeats: int, stem: int | None, skipping: bool, style: cells.Style, structure: Any, x: Type, y: Type
) -> Build:
    """x [1, C, H, W] -> logits [1, K] (figure 2)."""
    cells.need_images(x, "nasnet")
    b, v = blocks.start("nasnet", x)
    with b.scope("stem"):
        v = cells.conv_norm(b, v, stem or 3 * channels, 3, 2 if stem else 1)
    v = cells.stack(b, v, v, placed(structure, channels, repeats, bool(stem), skipping), style)
    return Build(cells.finish(b, b(cells.RELU, v, name="relu"), y.shape[-1]))


def placed(
    structure: Mapping[str, CellPlan], channels: int, repeats: int, large: bool, skipping: bool
) -> Iterator[cells.Placed]:
    """The stack, cell by cell."""
    normal, reduction = structure["normal"], structure["reduction"]
    if large:
        yield cells.Placed("stem1", reduction, channels // 4, True)
        yield cells.Placed("stem2", reduction, channels // 2, True)
    for stage in range(3):
        if stage:
            yield cells.Placed(f"reduce{stage}", reduction, channels << stage, True, skipping)
        for place in range(repeats):
            yield cells.Placed(f"stage{stage}.cell{place}", normal, channels << stage)
