"""Trainable parameters."""

from __future__ import annotations

from netwright.graph import Graph

direction = "max"  # as a score: more is better


def estimator(graph: Graph) -> dict[str, float]:
    """{"parameters": count} of distinct trainable elements."""
    return {"parameters": float(graph.parameter_count)}
