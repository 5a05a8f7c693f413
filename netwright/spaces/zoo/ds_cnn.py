"""Depthwise-separable networks for keyword spotting and sensor windows.

After Zhang et al. 2017, "Hello Edge: Keyword spotting on microcontrollers", section 4.5.
"""

from __future__ import annotations

from typing import Any

from netwright.graph import Type
from netwright.spaces import blocks
from netwright.spaces.space import Build, Space
from netwright.spaces.vocabulary import Choice, Repeat

tree = {
    "stem": {"width": Choice((16, 24, 32, 48, 64, 96)), "kernel": Choice((3, 5, 7)), "stride": Choice((1, 2))},
    "blocks": Repeat(
        {
            "width": Choice((16, 24, 32, 48, 64, 96, 128)),
            "kernel": Choice((3, 5)),
            "stride": Choice((1, 2), prior=(2, 1)),
        },
        counts=(2, 3, 4, 5, 6),
    ),
}


def build(structure: Any, x: Type, y: Type) -> Build:
    """x [1, C, H, W] or [1, C, L] -> logits [1, K]. A map smaller than 4 is not reduced further."""
    b, v = blocks.start("ds-cnn", x)
    stem = structure["stem"]
    with b.scope("stem"):
        v = blocks.conv(b, v, stem["width"], stem["kernel"], stem["stride"] if blocks.spatial(v) >= 4 else 1)
    for index, block in enumerate(structure["blocks"]):
        with b.scope(f"block{index}"):
            stride = block["stride"] if blocks.spatial(v) >= 4 else 1
            v = blocks.separable(b, v, block["width"], block["kernel"], stride)
    return Build(blocks.finish(b, blocks.head(b, v, y.shape[-1])))


space = Space("ds-cnn", tree, build, about="depthwise-separable networks for keyword spotting and sensor windows")
