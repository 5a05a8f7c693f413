"""torch module -> Graph. One file an op family; adding one registers its rules through `imports`.

A rule is called with the `Import` and the op's arguments by the names of its aten schema, tensors already imported:

    @imports("relu")
    def relu(im, a):
        return im.b(Relu(), im.value(a.self))

It returns one value, or a tuple with None for results that nothing here reads. An op whose tensors are all constants
(buffers, `torch.arange`, masks) never reaches a rule: torch computes it during the import.
"""

from __future__ import annotations

import importlib
import pkgutil

from .importer import RULES, Import, imports
from .program import from_torch

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

__all__ = ["RULES", "Import", "from_torch", "imports"]
