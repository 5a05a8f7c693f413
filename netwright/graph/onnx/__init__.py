"""ONNX out: `to_onnx(graph)` and `save_onnx(graph, path)`; the `onnx` package is imported when first used.

`export/` holds one small file of rules for each family of ops; a rule is registered for its op class and found by it.
A composite without a rule is exported as its expansion. Integer graphs leave as QDQ.
"""

from __future__ import annotations

from .export import exports, save_onnx, to_onnx

__all__ = ["exports", "save_onnx", "to_onnx"]
