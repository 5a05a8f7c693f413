"""Inverted residuals: kernel, expansion, width, depth, resolution (Sandler et al. 2018; elastic as Lin et al. 2020)."""

from __future__ import annotations

from typing import Any

from netwright.graph import Type
from netwright.spaces import blocks
from netwright.spaces.space import Build, Space
from netwright.spaces.vocabulary import Choice, Repeat

# (base channels, stride of the first block), from MobileNetV2's table 2 without its last, widest stage
STAGES = ((24, 2), (40, 2), (80, 2), (96, 1), (160, 2))

tree = {
    "resolution": Choice((0.5, 0.625, 0.75, 0.875, 1.0)),  # of the task's own
    "width": Choice((0.2, 0.25, 0.35, 0.5, 0.75, 1.0)),
    "stem_stride": Choice((1, 2)),
    "stages": [
        Repeat(
            {"kernel": Choice((3, 5, 7)), "expand": Choice((3, 4, 6))},
            counts=(0, 1, 2, 3, 4) if i > 1 else (1, 2, 3, 4),
        )
        for i in range(len(STAGES))
    ],
}


def build(structure: Any, x: Type, y: Type) -> Build:
    """x [1, C, H, W] -> logits [1, K]. The network takes images at its own resolution; smaller maps than 4 stay."""
    shape = (*x.shape[:2], *(max(4, round(n * structure["resolution"])) for n in x.shape[2:]))
    b, v = blocks.start("mobilenet", x.with_shape(shape))
    width = structure["width"]
    with b.scope("stem"):
        v = blocks.conv(b, v, blocks.rounded(32 * width), 3, structure["stem_stride"], activation="relu6")
    with b.scope("first"):
        v = blocks.inverted_residual(b, v, blocks.rounded(16 * width), 3, 1, 1)
    for number, (stage, (channels, stride)) in enumerate(zip(structure["stages"], STAGES, strict=True)):
        for index, block in enumerate(stage):
            with b.scope(f"stage{number}.block{index}"):
                step = stride if index == 0 and blocks.spatial(v) >= 4 else 1
                v = blocks.inverted_residual(
                    b, v, blocks.rounded(channels * width), block["kernel"], block["expand"], step
                )
    return Build(blocks.finish(b, blocks.head(b, v, y.shape[-1])))


space = Space("mobilenet", tree, build, about="inverted residuals for photographs", scales=("resolution", "width"))
