"""Training on the device: the gradient of an int8 network, worked out at compile time and pruned to what is updated.

    graph = body(netwright.load("model.tflite"))               # integers from input to logits
    scheme = Scheme(biases=6, weights=((3, 0.25), (5, 1.0)))   # of `layers(graph)`
    entries = build(graph, scheme, rate=0.01)                  # {"infer": Graph, "train_step": Graph}
    program = device.compile(entries)                          # the two share the updated parameters
    program.step(x, label, entry="train_step")

`train_step` is a Graph like any other: its NumPy reference is the simulation on the host, its plan the memory model.
Updated parameters are states. `scheme.py` says what may be updated, `step.py` builds both entries, `backward.py` has
one gradient rule an op, `contribution.py` says what updating a part is worth, `search.py` finds the scheme that is
worth most within a memory budget.

Source: Lin et al. 2022, "On-Device Training Under 256KB Memory" (NeurIPS): quantisation-aware scaling, sparse update,
Tiny Training Engine.
"""

from __future__ import annotations

from .contribution import Contributions, accuracy, by_training, from_gradients
from .memory import memory
from .scheme import RATIOS, Scheme, TrainableLayer, layers
from .search import Found, need_reach, reach, search
from .step import Residue, Schedule, body, build

__all__ = [
    "RATIOS", "Contributions", "Found", "Residue", "Schedule", "Scheme", "TrainableLayer", "accuracy", "body", "build",
    "by_training", "from_gradients", "layers", "memory", "need_reach", "reach", "search",
]  # fmt: skip
