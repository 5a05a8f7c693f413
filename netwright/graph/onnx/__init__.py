"""ONNX in and out: `from_onnx(path)`, `to_onnx(graph)`, `save_onnx(graph, path)`.

The `onnx` package is imported when first used. `export/` holds one small file of rules for each family of our ops, a
composite without a rule leaves as its expansion and integer graphs as QDQ; `importer/` holds one for each family of
ONNX operators, and expresses by our ops what has no op of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .export import exports, save_onnx, to_onnx

if TYPE_CHECKING:
    from .importer import from_onnx, imports

__all__ = ["exports", "from_onnx", "imports", "save_onnx", "to_onnx"]


def __getattr__(name: str) -> Any:
    if name in ("from_onnx", "imports"):
        from . import importer

        return getattr(importer, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
