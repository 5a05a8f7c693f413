"""How differently a network's outputs move with each image (Mellor et al. 2020)."""

from __future__ import annotations

from typing import Any

from netwright.estimate.training_free import compute
from netwright.graph import Graph


def estimator(graph: Graph, x: Any, labels: Any = None, seed: int = 0) -> dict[str, float]:
    """{"jacov": spread of the eigenvalues of the input gradients' correlations};
    arguments and errors as of `training_free.compute`."""
    return compute(graph, x, labels, ("jacov",), seed)
