"""Plain convolutions for small images and short series: width, kernel and downsampling of each layer.

The search space behind the smallest networks: where a feature map holds a few hundred bytes, a dense 3x3 convolution
costs little and learns fast, and a flattened last map is better than its average.
"""

from __future__ import annotations

from typing import Any

from netwright.graph import Type
from netwright.spaces import blocks
from netwright.spaces.space import Build, Space
from netwright.spaces.vocabulary import Choice, Repeat

tree = {
    "blocks": Repeat(
        {
            "width": Choice((4, 8, 12, 16, 20, 24, 28, 32, 40, 48, 56, 64)),
            "kernel": Choice((3, 5), prior=(4, 1)),
            "down": Choice(("none", "stride", "pool")),
        },
        counts=(2, 3, 4, 5, 6),
    ),
    "head": Choice(("flatten", "gap"), prior=(3, 1)),
}


def build(structure: Any, x: Type, y: Type) -> Build:
    """x [1, C, H, W] or [1, C, L] -> logits [1, K]. A map smaller than 2 is not reduced further."""
    b, v = blocks.start("conv-small", x)
    for index, block in enumerate(structure["blocks"]):
        with b.scope(f"block{index}"):
            reducible = blocks.spatial(v) >= 2
            stride = 2 if block["down"] == "stride" and reducible else 1
            v = blocks.conv(b, v, block["width"], block["kernel"], stride)
            if block["down"] == "pool" and reducible:
                v = blocks.max_pool(b, v)
    return Build(blocks.finish(b, blocks.head(b, v, y.shape[-1], structure["head"])))


space = Space("conv-small", tree, build, about="plain convolutions for small images and short series")
