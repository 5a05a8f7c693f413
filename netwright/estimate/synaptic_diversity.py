"""Synaptic diversity of attention blocks (Zhou et al. 2022, "Training-free transformer architecture search")."""

from __future__ import annotations

from typing import Any, Literal

from netwright.graph import Graph


def estimator(graph: Graph, x: Any, labels: Any = None, seed: int = 0,
              against: Literal["random", "ones"] = "random") -> dict[str, float]:
    """{"synaptic_diversity": sum over all linear maps of attention blocks of the nuclear norm of the weights times
    that of their gradient, "synaptic_diversity_normalized": that by the number of maps}.

    Arguments and errors as of `head_importance`.
    """
    import torch

    from netwright.estimate.training_free.heads import gradients, maps, scored

    def nuclear(matrix: torch.Tensor) -> torch.Tensor:
        return torch.linalg.matrix_norm(matrix, "nuc")

    pairs = gradients(graph, x, maps(graph).values(), labels, seed, against)
    return scored("synaptic_diversity", [nuclear(w) * nuclear(g) for w, g in pairs])
