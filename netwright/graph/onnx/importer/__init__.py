"""ONNX -> Graph. One file an op family; adding one registers its rules through `imports`."""

from __future__ import annotations

import importlib
import pkgutil

from .importer import RULES, Call, Import, imports
from .model import from_onnx

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

__all__ = ["RULES", "Call", "Import", "from_onnx", "imports"]
