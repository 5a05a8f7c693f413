"""Names of nodes, and where in a user's module an op comes from."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch

_HOMES = (str(Path(torch.__file__).parent), str(Path(__file__).parent))
_FRAME = re.compile(r'File "([^"]+)", line (\d+)')
_SEVERAL_OPS = ("container", "transformer")  # torch.nn modules that are not one op


def module_of(node: Any) -> tuple[str, str]:
    """Qualified path and class of the innermost module that a node belongs to; both empty outside modules."""
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    if not stack:
        return "", ""
    path, cls = stack[-1][:2]
    cls = cls if isinstance(cls, str) else f"{cls.__module__}.{cls.__qualname__}"
    return path.split("@")[0], cls  # a module called again is `path@1`


def name_of(node: Any) -> str:
    """`features.0` for the op of a torch layer, `features.relu` for others in that module."""
    path, cls = module_of(node)
    op = node.name.rstrip("0123456789_") or node.name
    kind, _, short = cls.removeprefix("torch.nn.modules.").partition(".")
    layer = cls.startswith("torch.nn.modules.") and kind not in _SEVERAL_OPS and short != "MultiheadAttention"
    if path and layer:
        return path
    return f"{path}.{op}" if path else op


def where(node: Any) -> str:
    """` in 'features.0' (Conv2d), model.py:12`; what is not known is left out."""
    path, cls = module_of(node)
    place = f" in {path!r} ({cls.rpartition('.')[2]})" if path else ""
    frame = user_frame(node.meta.get("stack_trace") or "")
    return f"{place}, {frame}" if frame else place


def user_frame(trace: str) -> str:
    """`file:line` of the innermost frame of a printed stack that is not torch's own; empty without one."""
    frames = [(file, line) for file, line in _FRAME.findall(trace) if not file.startswith((*_HOMES, "<"))]
    return f"{Path(frames[-1][0]).name}:{frames[-1][1]}" if frames else ""
