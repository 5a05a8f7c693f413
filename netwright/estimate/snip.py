"""SNIP (Lee et al. 2019) as a score: how much the loss on one batch hangs on the weights."""

from __future__ import annotations

from typing import Any

from netwright.estimate.training_free import compute
from netwright.graph import Graph


def estimator(graph: Graph, x: Any, labels: Any = None, seed: int = 0) -> dict[str, float]:
    """{"snip": sum of |w * dL/dw| over convolutions and linear layers};
    arguments and errors as of `training_free.compute`."""
    return compute(graph, x, labels, ("snip",), seed)
