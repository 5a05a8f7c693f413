"""Weights times gradients, signed (Abdelfattah et al. 2021)."""

from __future__ import annotations

from typing import Any

from netwright.estimate.training_free import compute
from netwright.graph import Graph


def estimator(graph: Graph, x: Any, labels: Any = None, seed: int = 0) -> dict[str, float]:
    """{"plain": sum of w * dL/dw over convolutions and linear layers};
    arguments and errors as of `training_free.compute`."""
    return compute(graph, x, labels, ("plain",), seed)
