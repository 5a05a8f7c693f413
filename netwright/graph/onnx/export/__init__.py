"""Graph -> ONNX. One file an op family; adding one registers its rules through `exports`."""

from __future__ import annotations

import importlib
import pkgutil

from .exporter import RULES, Export, exports
from .model import save_onnx, to_onnx

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

__all__ = ["RULES", "Export", "exports", "save_onnx", "to_onnx"]
