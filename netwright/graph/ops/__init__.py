"""All operations, one file a family. Importing this package registers every op by name."""

from __future__ import annotations

import importlib
import pkgutil

from ..op import OPS, Composite, Op

for _module in pkgutil.iter_modules(__path__):
    _loaded = importlib.import_module(f"{__name__}.{_module.name}")
    if hasattr(_loaded, "__path__"):
        for _inner in pkgutil.iter_modules(_loaded.__path__):
            importlib.import_module(f"{_loaded.__name__}.{_inner.name}")

globals().update({cls.__name__: cls for cls in OPS.values()})
__all__ = ["OPS", "Composite", "Op", *sorted(cls.__name__ for cls in OPS.values())]
