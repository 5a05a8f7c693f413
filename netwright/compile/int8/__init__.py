"""Lower a float graph to integers: fused activations, TFLite's arithmetic, images channels last.

    int8 = lower(graph, ranges)       # ranges: value name -> (low, high), from calibration
    int8 = lower(graph)               # structure only, for costs: every scale is 1, no weights

Whole numbers and truth values stay what they are. Inputs lie channels last where convolutions read them, else as they
were (`input_order`); outputs as they were made (`places` says how, for every value).

One file a family of ops; a file registers its rules with `@lowers(OpClass)`. A rule gets the `Lowering` and the float
node, and records the int8 value that stands for the node's output, and how it lies, with `put`. `spelling` first turns
what has no integer form of its own into ops that have. Raises UserError naming an op that has no int8 form.
"""

from __future__ import annotations

import importlib
import pkgutil

from .layout import input_order
from .lowering import Lowering, Placed, expanded, lower, lowerable, lowers, places

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

__all__ = ["Lowering", "Placed", "expanded", "input_order", "lower", "lowerable", "lowers", "places"]
