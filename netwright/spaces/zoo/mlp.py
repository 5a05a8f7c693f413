"""Fully connected networks: number and width of hidden layers, activation.

For feature vectors; anything else is flattened.
"""

from __future__ import annotations

from typing import Any

from netwright.graph import Type
from netwright.spaces import blocks
from netwright.spaces.space import Build, Space
from netwright.spaces.vocabulary import Choice, Repeat

tree = {
    "layers": Repeat({"width": Choice((8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256))}, counts=(1, 2, 3)),
    "activation": Choice(("relu", "tanh", "hard_swish"), prior=(4, 1, 1)),
}


def build(structure: Any, x: Type, y: Type) -> Build:
    """x [1, ...] -> logits [1, K]."""
    b, v = blocks.start("mlp", x)
    if len(x.shape) > 2:
        v = b(blocks.FLAT, v, name="flat")
    for index, layer in enumerate(structure["layers"]):
        with b.scope(f"layer{index}"):
            v = blocks.norm(b, blocks.dense(b, v, layer["width"], "dense"))
            v = b(blocks.activation_op(structure["activation"]), v, name="activation")
    return Build(blocks.finish(b, blocks.head(b, v, y.shape[-1])))


space = Space("mlp", tree, build, about="fully connected networks for feature vectors")
