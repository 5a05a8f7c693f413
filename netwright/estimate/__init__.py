"""What a candidate would score or cost, without deploying it.

    metrics = get("macs")(graph)                   # {"macs": ...}
    metrics = get("synflow")(graph)                # {"synflow": ...}: training-free, higher is better
    metrics = get("device-cost")(graph, device=device)

An estimator is a function of a graph that returns named metrics; one file each, as `estimator`. Estimators that need
more (a device, training) take it as a keyword. One that needs nothing more and can rate candidates says in its file
which `direction` is better: `scores()` has their names.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from importlib import import_module
from typing import Literal

from netwright.errors import UserError, nearest

Estimator = Callable[..., dict[str, float]]


def names() -> list[str]:
    """All estimators, by file name."""
    return sorted(m.name.replace("_", "-") for m in pkgutil.iter_modules(__path__) if not m.ispkg)


def get(name: str) -> Estimator:
    """The estimator of that name. Raises UserError with the nearest for an unknown one."""
    spelled = name.replace("_", "-")
    if spelled not in names():
        raise UserError(f"no estimator is called {name!r}{nearest(spelled, names())}")
    found: Estimator = import_module(f"{__name__}.{spelled.replace('-', '_')}").estimator
    return found


def scores() -> dict[str, Literal["min", "max"]]:
    """The training-free estimators and which direction of their metric, of the same name, is better."""
    files = {name: import_module(f"{__name__}.{name.replace('-', '_')}") for name in names()}
    found = {name: getattr(file, "direction", None) for name, file in files.items()}
    return {name: direction for name, direction in found.items() if direction}


__all__ = ["Estimator", "get", "names", "scores"]
