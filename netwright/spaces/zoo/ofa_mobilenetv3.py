"""Once-for-all's MobileNetV3: depth, kernel and expansion of five units (Cai et al. 2020, section 3 and appendix A).

A unit has 2, 3 or 4 blocks, a block a kernel of 3, 5 or 7 and expands 3, 4 or 6 times: (9^2 + 9^3 + 9^4)^5 = 7,371^5 =
21,758,655,492,572,485,851 networks at one resolution. Widths, strides, activations and squeeze-and-excitation are those
of MobileNetV3-Large (Howard et al. 2019, table 1).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

from netwright.graph import Builder, Type, Value
from netwright.graph.ops.binary import Mul
from netwright.graph.ops.unary import HardSigmoid
from netwright.spaces import blocks
from netwright.spaces.space import Build, Space
from netwright.spaces.vocabulary import Choice, Repeat

FIRST, LAST, FEATURES = 16, 960, 1280  # channels of the stem, of the last convolution, and before the classifier
MUL, GATE = Mul(), HardSigmoid()


class Unit(NamedTuple):
    """What the blocks of one unit have in common."""

    channels: int
    stride: int
    activation: str
    squeeze: bool


UNITS = (
    Unit(24, 2, "relu", False),
    Unit(40, 2, "relu", True),
    Unit(80, 2, "hard_swish", False),
    Unit(112, 1, "hard_swish", True),
    Unit(160, 2, "hard_swish", True),
)
BLOCK = {"kernel": Choice((3, 5, 7)), "expand": Choice((3, 4, 6))}


def space(width: float = 1.0, resolutions: Sequence[int] = ()) -> Space:
    """`width` multiplies all channels (published: 1.0 and 1.2). With `resolutions`, the side of the image is a decision
    (published: 128 to 224 in steps of 4); without, the network takes images as they come.

    ValueError for a width of 0 or less, or resolutions that are not positive.
    """
    if not width > 0 or min(resolutions, default=1) < 1:
        raise ValueError(f"the width ({width}) and resolutions ({tuple(resolutions)}) are positive")
    tree: dict[str, Any] = {"units": [Repeat(BLOCK, (2, 3, 4)) for _ in UNITS]}
    if resolutions:
        tree = {"resolution": Choice(tuple(resolutions)), **tree}
    about = "Once-for-all's MobileNetV3 for photographs"
    return Space("ofa-mobilenetv3", tree, partial(build, width), about=about)


def build(width: float, structure: Any, x: Type, y: Type) -> Build:
    """x [1, C, H, W] -> logits [1, K]."""
    if "resolution" in structure:
        x = x.with_shape((*x.shape[:2], *(structure["resolution"],) * (len(x.shape) - 2)))
    b, v = blocks.start("ofa-mobilenetv3", x)
    first = blocks.rounded(FIRST * width)
    with b.scope("stem"):
        v = blocks.conv(b, v, first, 3, 2, activation="hard_swish")
    with b.scope("first"):
        v = blocks.inverted_residual(b, v, first, 3, 1, 1, "relu")
    for number, (unit, chosen) in enumerate(zip(UNITS, structure["units"], strict=True)):
        for place, block in enumerate(chosen):
            with b.scope(f"unit{number}.block{place}"):
                v = _block(b, v, unit, width, block["kernel"], block["expand"], unit.stride if place == 0 else 1)
    with b.scope("last"):
        v = blocks.conv(b, v, blocks.rounded(LAST * width), 1, activation="hard_swish")
    v = b(blocks.GLOBAL, v, name="gap")
    with b.scope("features"):
        weight = b.param("weight", (blocks.rounded(FEATURES * width), v.shape[1], *(1,) * (len(v.shape) - 2)))
        v = b(blocks.activation_op("hard_swish"), b(blocks.conv_op(len(v.shape) - 2, 1, 1, 1), v, weight, name="conv"))
    return Build(blocks.finish(b, blocks.dense(b, b(blocks.FLAT, v, name="flat"), y.shape[-1], "classifier")))


def _block(b: Builder, x: Value, unit: Unit, width: float, kernel: int, expand: int, stride: int) -> Value:
    """Inverted residual with squeeze-and-excitation where the unit has it."""
    inner, channels = blocks.rounded(x.shape[1] * expand), blocks.rounded(unit.channels * width)
    with b.scope("expand"):
        y = blocks.conv(b, x, inner, 1, activation=unit.activation)
    with b.scope("depthwise"):
        y = blocks.conv(b, y, inner, kernel, stride, groups=inner, activation=unit.activation)
    if unit.squeeze:
        with b.scope("squeeze"):
            y = _squeeze(b, y)
    with b.scope("project"):
        y = blocks.conv(b, y, channels, 1, activation=None)
    return b(blocks.ADD, x, y, name="add") if y.type.shape == x.type.shape else y


def _squeeze(b: Builder, x: Value) -> Value:
    """Channels weighted by a gate that their averages decide, through a quarter of them (Howard et al. 2019, 5.3)."""
    inner = blocks.rounded(x.shape[1] // 4)
    y = b(blocks.GLOBAL, x, name="gap")
    for name, width, op in (("reduce", inner, blocks.activation_op("relu")), ("expand", x.shape[1], GATE)):
        with b.scope(name):
            weight = b.param("weight", (width, y.shape[1], *(1,) * (len(x.shape) - 2)), init=blocks.HE)
            bias = b.param("bias", (width,), init=blocks.ZERO)
            y = b(op, b(blocks.conv_op(len(x.shape) - 2, 1, 1, 1), y, weight, bias, name="conv"), name="gate")
    return b(MUL, x, y, name="scaled")
