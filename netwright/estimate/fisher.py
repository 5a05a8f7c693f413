"""Fisher information of the channels (Turner et al. 2020) as a score."""

from __future__ import annotations

from typing import Any

from netwright.estimate.training_free import compute
from netwright.graph import Graph


def estimator(graph: Graph, x: Any, labels: Any = None, seed: int = 0) -> dict[str, float]:
    """{"fisher": sum of each channel's saliency, once a weight}; arguments and errors as of `training_free.compute`."""
    return compute(graph, x, labels, ("fisher",), seed)
