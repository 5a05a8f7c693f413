"""How much a network can hold: within one family and one memory limit, more computation and more weights learn more."""

from __future__ import annotations

import math

from netwright.graph import Graph


def estimator(graph: Graph) -> dict[str, float]:
    """{"capacity": log MACs + log parameters}: training-free, higher is better (cf. Lin et al. 2020, section 3.1)."""
    return {"capacity": math.log(1 + graph.macs) + math.log(1 + graph.parameter_count)}
