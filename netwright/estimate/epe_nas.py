"""EPE-NAS (Lopes et al. 2021): how alike the input gradients of one class's images are."""

from __future__ import annotations

from typing import Any

from netwright.estimate.training_free import compute
from netwright.graph import Graph


def estimator(graph: Graph, x: Any, labels: Any, seed: int = 0) -> dict[str, float]:
    """{"epe_nas": sum over classes of |sum of log |correlation||};
    arguments and errors as of `training_free.compute`."""
    return compute(graph, x, labels, ("epe_nas",), seed)
