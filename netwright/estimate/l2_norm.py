"""The norm of the initial weights (Abdelfattah et al. 2021)."""

from __future__ import annotations

from typing import Any

from netwright.estimate.training_free import compute
from netwright.graph import Graph


def estimator(graph: Graph, x: Any = None, labels: Any = None, seed: int = 0) -> dict[str, float]:
    """{"l2_norm": sum over layers of |w|}; arguments and errors as of `training_free.compute`."""
    return compute(graph, x, labels, ("l2_norm",), seed)
