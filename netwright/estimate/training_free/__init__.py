"""Training-free scores of a graph on one batch of data; higher is taken as better, as in NAS-Bench-Suite-Zero.

    values = compute(graph, x, labels, ("nwot", "snip", "grad_norm"))     # {"nwot": ..., "snip": ..., "grad_norm": ...}

Scores that are asked for together share what they can: one network, one forward pass, one backward pass of the
cross-entropy for snip, grad_norm, plain and fisher, one of the summed outputs for jacov and epe_nas. grasp needs a
second derivative and makes the first one dearer. `forward.py` runs the graph, `formulas.py` has what each score makes
of it. One score alone: `estimate.get("snip")(graph, x=x, labels=labels)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from netwright.errors import UserError, nearest
from netwright.graph import Graph

LOSS = ("snip", "grad_norm", "plain", "fisher")  # from the gradient of the cross-entropy
JACOBIAN = ("jacov", "epe_nas")  # from the inputs' gradients
LABELLED = (*LOSS, "grasp", "epe_nas")
DATALESS = ("synflow", "zen", "l2_norm")
NAMES = ("nwot", *JACOBIAN, *DATALESS, *LOSS, "grasp")
USUAL = tuple(name for name in NAMES if name not in ("zen", "grasp"))  # the one needs places, the other twice the time


def compute(
    graph: Graph, x: Any = None, labels: Any = None, names: Sequence[str] = USUAL, seed: int = 0
) -> dict[str, float]:
    """Each named score of `graph` (all but zen and grasp unless they are named) with weights drawn from `seed`, batch
    norm by the batch's own statistics.

    x       float [N, ...], one batch of the graph's only input, numpy or torch; computed on the device it lies on;
            synflow, zen and l2_norm need none
    labels  class numbers [N]; needed by snip, grad_norm, plain, fisher, grasp and epe_nas only

    The graph has one output, logits [1, K]. Raises UserError for an unknown name, missing labels or wrong shapes.
    """
    import torch

    from netwright.estimate import get as estimator
    from netwright.estimate.training_free import formulas
    from netwright.estimate.training_free.forward import Forward

    for name in names:
        if name not in NAMES:
            raise UserError(f"no training-free score is called {name!r}{nearest(name, list(NAMES))}")
    if len(graph.inputs) != 1 or len(graph.outputs) != 1:
        raise UserError("scores on data need a graph of one input and one output")
    found: dict[str, float] = {}
    for name in ("synflow", "zen"):
        if name in names:
            found |= estimator(name)(graph, seed=seed)
    if x is None:
        needs = [name for name in names if name not in DATALESS]
        if needs:
            raise UserError(f"{needs[0]} needs a batch of data")
        x = torch.zeros(graph.inputs[0].shape)
    batch = torch.as_tensor(x)
    if tuple(batch.shape[1:]) != graph.inputs[0].shape[1:]:
        raise UserError(f"the graph takes {graph.inputs[0].type}, not a batch of shape {list(batch.shape)}")
    labelled = [name for name in LABELLED if name in names]
    if labelled and (labels is None or len(labels) != len(batch)):
        raise UserError(f"{labelled[0]} needs as many labels as images ({len(batch)})")
    wanted, twice, jacobian = [name for name in LOSS if name in names], "grasp" in names, set(JACOBIAN) & set(names)
    run = Forward(graph, batch, seed, codes="nwot" in names, inputs=bool(jacobian),
                  weights=bool(wanted) or twice, activations="fisher" in names)
    if set(names) - set(DATALESS):
        run.forward()
    if "nwot" in names:
        found["nwot"] = formulas.nwot(run.agreement)
    if "l2_norm" in names:
        found["l2_norm"] = formulas.l2_norm(run.weights)
    classes = torch.as_tensor(labels, device=batch.device).long() if labelled else torch.zeros(0)
    if jacobian:
        rows = run.jacobian(keep=bool(wanted) or twice)
        if "jacov" in names:
            found["jacov"] = formulas.jacov(rows)
        if "epe_nas" in names:
            found["epe_nas"] = formulas.epe_nas(rows, classes)
    if wanted or twice:
        gradients, flows = run.loss_gradients(classes, twice)
        if twice:
            found["grasp"] = formulas.grasp(run.weights, run.curved(gradients))
            gradients, flows = ([g.detach() for g in some] for some in (gradients, flows))
        if "fisher" in wanted:
            found["fisher"] = formulas.fisher(run.fans, run.activations, flows)
        found |= {name: getattr(formulas, name)(run.weights, gradients) for name in wanted if name != "fisher"}
    return {name: found[name] for name in names}


__all__ = ["LOSS", "NAMES", "USUAL", "compute"]
