"""How much a network can hold: within one family and one memory limit, more weights and more computation learn more."""

from __future__ import annotations

import math

from netwright.graph import Graph

direction = "max"  # as a score: more is better


def estimator(graph: Graph) -> dict[str, float]:
    """{"capacity": log parameters + half of log MACs}, training-free; higher is better (cf. Lin et al. 2020, 3.1).

    Weights count for more than computation, which costs training time as well.
    """
    return {"capacity": math.log(1 + graph.parameter_count) + 0.5 * math.log(1 + graph.macs)}
