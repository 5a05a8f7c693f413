"""GraSP (Wang et al. 2020): what pruning a weight does to the flow of gradients."""

from __future__ import annotations

from typing import Any

from netwright.estimate.training_free import compute
from netwright.graph import Graph


def estimator(graph: Graph, x: Any, labels: Any, seed: int = 0) -> dict[str, float]:
    """{"grasp": -sum of w times (Hessian times gradient)};
    arguments and errors as of `training_free.compute`."""
    return compute(graph, x, labels, ("grasp",), seed)
