"""Head confidence (Serianni and Kalita 2023): how far an untrained transformer's attention heads stand out."""

from __future__ import annotations

from typing import Any

from netwright.errors import UserError
from netwright.graph import Graph
from netwright.graph.composite import expand_all
from netwright.graph.ops.attention import Attention
from netwright.graph.ops.softmax import Softmax


def estimator(graph: Graph, x: Any, labels: Any = None, seed: int = 0, softmax: bool = False) -> dict[str, float]:
    """{"head_confidence": ..., "head_confidence_normalized": ...}, with `softmax` {"head_softmax_confidence": ...,
    "head_softmax_confidence_normalized": ...}: the sum over an untrained transformer's heads of the mean largest
    output, and that by the number of terms.

    x        [N, ...], one batch of the graph's only input (token numbers [N, T], images); computed where it lies
    labels   not needed
    seed     of the weights that the store lacks
    softmax  of the attention's weights [N, heads, T, T] instead, and of the softmax of a linear transform's output

    A term is the mean over all but axis 1 of the largest along axis 1, as the published code has it: of a linear map
    that makes what heads see (queries, keys, values; [N, T, C]) the largest over tokens, of a softmax the largest
    over heads. UserError for a graph without attention blocks, or a batch of another shape.
    """
    from netwright.estimate.training_free.heads import HEADS, batch_of, maps, passing, scored

    batch = batch_of(graph, x)
    terms = []
    if not softmax:
        watched = {node.outputs[0].name for node in maps(graph, HEADS)}
        terms = [y.amax(1).mean() for node, y in passing(graph, batch, seed) if node.outputs[0].name in watched]
        return scored("head_confidence", terms)
    blocks = tuple(f"{node.name}." for node in graph.nodes if isinstance(node.op, Attention))
    for node, y in passing(expand_all(graph, lambda op: isinstance(op, Attention)), batch, seed):
        if isinstance(node.op, Softmax) and node.name.startswith(blocks):
            terms.append(y.amax(1).mean())
        elif node.name.endswith("attention.transformed"):
            terms.append(y.softmax(-1).amax(1).mean())
    if not terms:
        raise UserError(f"{graph.name} has no attention: head-confidence is for transformers")
    return scored("head_softmax_confidence", terms)
