"""What a candidate would score or cost, without deploying it.

    metrics = get("macs")(graph)                   # {"macs": ...}
    metrics = get("synflow")(graph)                # {"synflow": ...}: training-free, higher is better
    metrics = get("device-cost")(graph, device=device)

An estimator is a function of a graph that returns named metrics; one file each, as `estimator`. Estimators that need
more (a device, training) take it as a keyword.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from importlib import import_module

from netwright.errors import UserError, nearest

Estimator = Callable[..., dict[str, float]]


def names() -> list[str]:
    """All estimators, by file name."""
    return sorted(m.name.replace("_", "-") for m in pkgutil.iter_modules(__path__))


def get(name: str) -> Estimator:
    """The estimator of that name. Raises UserError with the nearest for an unknown one."""
    spelled = name.replace("_", "-")
    if spelled not in names():
        raise UserError(f"no estimator is called {name!r}{nearest(spelled, names())}")
    found: Estimator = import_module(f"{__name__}.{spelled.replace('-', '_')}").estimator
    return found


__all__ = ["Estimator", "get", "names"]
