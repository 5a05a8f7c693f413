"""SynFlow (Tanaka et al. 2020; as a score, Abdelfattah et al. 2021): how much flow the weights carry, without data."""

from __future__ import annotations

from typing import Any

from netwright.graph import Graph

direction = "max"  # as a score: more is better


def estimator(graph: Graph, seed: int = 0) -> dict[str, float]:
    """{"synflow": log of sum |w * dR/dw|} with all weights made positive and an input of ones; higher is better."""
    import torch

    from netwright.graph.torch import to_torch

    module: Any = to_torch(graph, seed).double().eval()
    with torch.no_grad():
        for p in module.parameters():
            p.abs_()
    inputs = [torch.ones(v.shape, dtype=torch.float64) for v in graph.inputs]
    outputs = module(*inputs)
    total = sum(o.sum() for o in outputs) if isinstance(outputs, tuple) else outputs.sum()
    total.backward()
    score = sum(float((p.detach() * p.grad).abs().sum()) for p in module.parameters() if p.grad is not None)
    return {"synflow": float(torch.log(torch.tensor(max(score, 1e-300), dtype=torch.float64)))}
