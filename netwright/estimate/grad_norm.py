"""The norm of the loss's gradient on one batch (Abdelfattah et al. 2021)."""

from __future__ import annotations

from typing import Any

from netwright.estimate.training_free import compute
from netwright.graph import Graph


def estimator(graph: Graph, x: Any, labels: Any = None, seed: int = 0) -> dict[str, float]:
    """{"grad_norm": sum over layers of |dL/dw|}; arguments and errors as of `training_free.compute`."""
    return compute(graph, x, labels, ("grad_norm",), seed)
