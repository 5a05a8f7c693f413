"""NASNet: the size of its space and of its released networks, built as Graphs."""

from __future__ import annotations

from pathlib import Path

from netwright import spaces
from netwright.graph import Type
from netwright.spaces.zoo import nasnet

from . import Claim, Measured, System


def count(data: Path | None, seed: int) -> Measured:
    """Ordered cells, by counting the space."""
    pair = spaces.get("nasnet").bound()
    return Measured(float(pair), pair == 2_286_906_949_584_691_200**2, "exact: the square of 2,286,906,949,584,691,200")


def _mobile() -> tuple[int, int]:
    space = spaces.get("nasnet", also=nasnet.RELEASED, channels=44, repeats=4, stem=32)
    graph = space.build(space.validate(nasnet.NASNET_A), Type((1, 3, 224, 224)), Type((1, 1000))).graph
    return graph.parameter_count, graph.macs


def parameters(data: Path | None, seed: int) -> Measured:
    """Of NASNet-A 4 @ 1056."""
    found = _mobile()[0] / 1e6
    note = "the released cells concatenate one state more than the rule of unused outputs says"
    return Measured(found, abs(found / 5.3 - 1) < 0.02, note)


def macs(data: Path | None, seed: int) -> Measured:
    """Multiply-adds at 224 px."""
    found = _mobile()[1] / 1e6
    return Measured(found, abs(found / 564 - 1) < 0.03, "multiply-accumulates as our graphs count them")


system = System(
    name="nasnet",
    paper="Zoph, Vasudevan, Shlens and Le 2018 (NASNet)",
    about="two cells of five blocks each, stacked; PPO over their decisions",
    claims=(
        Claim("size of the space", "5.2e36 pairs of cells", "ordered decisions, symmetric ones counted twice", "pairs",
              count),
        Claim("parameters of NASNet-A 4 @ 1056", "5.3 M", "ImageNet, 224 px", "M", parameters),
        Claim("multiply-adds of NASNet-A 4 @ 1056", "564 M", "ImageNet, 224 px", "M", macs),
    ),
)
