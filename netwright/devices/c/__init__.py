"""Graphs as readable C: one function a layer, names from the network, no heap, no interpreter.

    source = generate({"infer": graph}, "digits")
    source.files            # name -> text: digits.h, digits.c, the kernels it uses
    source.plan             # where every tensor lies
    source.layers           # one line a layer: function, shape, MACs, bytes

Integer graphs are written as they are; `prepared(graph)` makes a float32 graph ready first. The same C runs on
microcontrollers and, as a shared library, on the host. `kernels/` holds the arithmetic, one header a family;
`emitters/` holds one file a family of ops that calls it, registered with `@emits(OpClass)`. `choice.py` says which
kernel a convolution gets by rule, `tuning.py` counts which is quickest.
"""

from __future__ import annotations

import importlib
import pkgutil

from . import emitters
from .prepare import arranged, outside, prepared
from .source import CSource, Layer, emits, generate, least_bytes, planned, planned_entries, reordered, supported

for _module in pkgutil.iter_modules(emitters.__path__):
    importlib.import_module(f"{emitters.__name__}.{_module.name}")

__all__ = [
    "CSource", "Layer", "arranged", "emits", "generate", "least_bytes", "outside", "planned", "planned_entries",
    "prepared", "reordered", "supported",
]  # fmt: skip
