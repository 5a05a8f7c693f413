"""Activation distance of transformers (Serianni and Kalita 2023, after Mellor et al. 2021)."""

from __future__ import annotations

from typing import Any

from netwright.errors import UserError
from netwright.graph import Graph
from netwright.graph.ops.activation import Gelu
from netwright.graph.ops.unary import Relu


def estimator(graph: Graph, x: Any, labels: Any = None, seed: int = 0) -> dict[str, float]:
    """{"activation_distance": ..., "activation_distance_normalized": ...}: how many signs of activations agree, summed
    over all pairs of the first sample's tokens and over activations, and that by the number of activations.

    x [N, ...] is one batch, of which only the first sample counts; `labels` are not needed. Activations are Gelu and
    Relu on tokens [N, T, C]. It is the sum of NASWOT's kernel, as the published code of encoders has it, not its
    determinant; its recorded sums count an activation once for every layer scored before (hooks that stayed), its
    recorded means do not. UserError for a graph without such, or a batch of another shape.
    """
    from netwright.estimate.training_free.forward import agreeing
    from netwright.estimate.training_free.heads import batch_of, passing, scored

    first = batch_of(graph, x)[:1]
    terms = [agreeing(y[0]).sum() for node, y in passing(graph, first, seed)
             if isinstance(node.op, (Gelu, Relu)) and y.dim() == 3]  # fmt: skip
    if not terms:
        raise UserError(f"{graph.name} has no activations of tokens [N, T, C]: activation-distance is for transformers")
    return scored("activation_distance", terms)
