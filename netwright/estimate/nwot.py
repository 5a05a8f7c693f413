"""NASWOT (Mellor et al. 2021): how well the ReLU codes of a batch tell its images apart."""

from __future__ import annotations

from typing import Any

from netwright.estimate.training_free import compute
from netwright.graph import Graph


def estimator(graph: Graph, x: Any, labels: Any = None, seed: int = 0) -> dict[str, float]:
    """{"nwot": log determinant of the kernel of codes that agree};
    arguments and errors as of `training_free.compute`."""
    return compute(graph, x, labels, ("nwot",), seed)
