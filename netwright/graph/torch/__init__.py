"""torch, out and in: `to_torch(graph)` is a trainable module, `from_torch(module, example)` a graph.

    from netwright.graph.torch import from_torch, to_torch

    graph = from_torch(model, torch.zeros(1, 3, 32, 32))   # torch.export, then one rule an aten op
    module = to_torch(graph)                               # evaluates the graph node by node

`module.py` holds the way out. `importer/` holds the way in: one small file of rules for each family of ops; a rule is
registered for its aten op and found by its name. An op without a rule is decomposed by torch where torch can do that.
"""

from __future__ import annotations

from .importer import from_torch
from .module import TorchGraph, evaluate, from_numpy, to_torch

__all__ = ["TorchGraph", "evaluate", "from_numpy", "from_torch", "to_torch"]
