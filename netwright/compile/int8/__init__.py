"""Lower a float graph to integers: channels last, fused activations, TFLite's arithmetic.

    int8 = lower(graph, ranges)       # ranges: value name -> (low, high), from calibration
    int8 = lower(graph)               # structure only, for costs: every scale is 1, no weights

One file a family of ops; a file registers its rules with `@lowers(OpClass)`. A rule gets the `Lowering` and the float
node and records the int8 value that stands for the node's output. Raises UserError naming an op that has no int8 form.
"""

from __future__ import annotations

import importlib
import pkgutil

from .lowering import Lowering, expanded, input_order, lower, lowerable, lowers

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

__all__ = ["Lowering", "expanded", "input_order", "lower", "lowerable", "lowers"]
