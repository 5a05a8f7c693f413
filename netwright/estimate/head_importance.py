"""Head importance (Serianni and Kalita 2023, after Michel et al. 2019): what heads weigh in a loss."""

from __future__ import annotations

from typing import Any, Literal

from netwright.graph import Graph


def estimator(graph: Graph, x: Any, labels: Any = None, seed: int = 0,
              against: Literal["random", "ones"] = "random") -> dict[str, float]:
    """{"head_importance": sum of |w * dL/dw|, "head_importance_normalized": that by the number of linear maps}, over
    the maps inside attention (queries, keys, values; neither the projection after it nor a convolution's kernel).

    x [N, ...] is one batch, `labels` [N] make L the cross-entropy; without, L is the sum of outputs times random
    numbers or, as published, ones: see `training_free.heads.gradients`. The published code takes maps of at least 128
    rows, which are these in its networks. UserError as there.
    """
    from netwright.estimate.training_free.heads import WITHIN, gradients, maps, scored

    pairs = gradients(graph, x, maps(graph, WITHIN).values(), labels, seed, against)
    return scored("head_importance", [(w * g).abs().sum() for w, g in pairs])
