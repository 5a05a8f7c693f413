"""einspace: the rates of its grammar, and known networks as candidates."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from netwright import spaces
from netwright.graph import Type

from . import Claim, Measured, System

DRAWN = 300


def legal(data: Path | None, seed: int) -> Measured:
    """Share of samples that build with the shapes that were inferred for them."""
    space = spaces.get("einspace")
    rng, built = np.random.default_rng(seed), 0
    for _ in range(DRAWN):
        graph = space.build(space.sample(rng), Type((1, 3, 28, 28)), Type((1, 10))).graph
        built += graph.outputs[0].shape == (1, 10)
    return Measured(100 * built / DRAWN, built == DRAWN, f"{DRAWN} samples at 3x28x28, by the grammar's probabilities")


def seeds(data: Path | None, seed: int) -> Measured:
    """Parameters of ResNet18 without max pooling, as a candidate."""
    from netwright.spaces.einspace import seeds as known

    space = spaces.get("einspace", shape=(3, 32, 32))
    candidate = space.validate(known.decisions(known.resnet18()))
    graph = space.build(candidate, Type((1, 3, 32, 32)), Type((1, 10))).graph
    found = graph.parameter_count / 1e6
    return Measured(found, abs(found / 11.17 - 1) < 0.01, "with the biases that the grammar's linear layers have")


system = System(
    name="einspace",
    paper="Ericsson et al. 2024 (einspace)",
    about="a probabilistic grammar over tensor operations, wide enough for ResNets, transformers and mixers",
    claims=(
        Claim("every sample compiles", "100 % (by retrying)", "its grammar with shape constraints", "%", legal),
        Claim("ResNet18 is one of its members", "11.17 M parameters", "CIFAR form, 10 classes, no max pooling", "M",
              seeds),
    ),
)
