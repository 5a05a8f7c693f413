"""Multiply-accumulates of one step."""

from __future__ import annotations

from netwright.graph import Graph

direction = "max"  # as a score: more is better


def estimator(graph: Graph) -> dict[str, float]:
    """{"macs": count}, of one sample."""
    return {"macs": float(graph.macs)}
