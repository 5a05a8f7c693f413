"""Training-free scores of a graph on one batch of data; higher is taken as better, as in NAS-Bench-Suite-Zero.

    values = compute(graph, x, labels, ("nwot", "snip", "grad_norm"))     # {"nwot": ..., "snip": ..., "grad_norm": ...}

Scores that are asked for together share what they can: one network, one forward pass, one backward pass of the
cross-entropy for snip, grad_norm, plain and fisher, one of the summed outputs for jacov. `forward.py` runs the graph,
`formulas.py` has what each score makes of it. One score alone: `estimate.get("snip")(graph, x=x, labels=labels)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from netwright.errors import UserError, nearest
from netwright.graph import Graph

LOSS = ("snip", "grad_norm", "plain", "fisher")  # from the gradient of the cross-entropy
DATALESS = ("synflow", "l2_norm")
NAMES = ("nwot", "jacov", *DATALESS, *LOSS)


def compute(
    graph: Graph, x: Any = None, labels: Any = None, names: Sequence[str] = NAMES, seed: int = 0
) -> dict[str, float]:
    """Each named score of `graph` with weights drawn from `seed`, batch norm by the batch's own statistics.

    x       float [N, ...], one batch of the graph's only input, numpy or torch; computed on the device it lies on;
            synflow and l2_norm need none
    labels  class numbers [N]; needed by snip, grad_norm, plain and fisher only

    The graph has one output, logits [1, K]. Raises UserError for an unknown name, missing labels or wrong shapes.
    """
    import torch

    from netwright.estimate.training_free import formulas
    from netwright.estimate.training_free.forward import Forward

    for name in names:
        if name not in NAMES:
            raise UserError(f"no training-free score is called {name!r}{nearest(name, list(NAMES))}")
    if len(graph.inputs) != 1 or len(graph.outputs) != 1:
        raise UserError("scores on data need a graph of one input and one output")
    found: dict[str, float] = {}
    if "synflow" in names:
        from netwright.estimate.synflow import estimator

        found |= estimator(graph, seed)
    if x is None:
        needs = [name for name in names if name not in DATALESS]
        if needs:
            raise UserError(f"{needs[0]} needs a batch of data")
        x = torch.zeros(graph.inputs[0].shape)
    batch = torch.as_tensor(x)
    if tuple(batch.shape[1:]) != graph.inputs[0].shape[1:]:
        raise UserError(f"the graph takes {graph.inputs[0].type}, not a batch of shape {list(batch.shape)}")
    wanted = [name for name in LOSS if name in names]
    if wanted and (labels is None or len(labels) != len(batch)):
        raise UserError(f"{wanted[0]} needs as many labels as images ({len(batch)})")
    run = Forward(graph, batch, seed, codes="nwot" in names, inputs="jacov" in names,
                  weights=bool(wanted), activations="fisher" in names)
    if set(names) - set(DATALESS):
        run.forward()
    if "nwot" in names:
        found["nwot"] = formulas.nwot(run.agreement)
    if "l2_norm" in names:
        found["l2_norm"] = formulas.l2_norm(run.weights)
    if "jacov" in names:
        found["jacov"] = formulas.jacov(run.jacobian(keep=bool(wanted)))
    if wanted:
        gradients, flows = run.loss_gradients(torch.as_tensor(labels, device=batch.device).long())
        if "fisher" in wanted:
            found["fisher"] = formulas.fisher(run.fans, run.activations, flows)
        found |= {name: getattr(formulas, name)(run.weights, gradients) for name in wanted if name != "fisher"}
    return {name: found[name] for name in names}


__all__ = ["LOSS", "NAMES", "compute"]
