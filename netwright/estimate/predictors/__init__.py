"""Predictors: from a few measured candidates to all the others.

    model = get("ridge")()                       # one file each, a class `predictor`; `names()` has them all
    model.fit(x, y)                              # x [n, d] encodings of traces, y [n] measured
    model.predict(x)                             # [n]

    transfer.latency(known, counts, measured, values)   # a new device's latencies from ten measurements

A search takes such a thing as it is (`fit`, `predict`); it imports none.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from importlib import import_module
from typing import Protocol

import numpy as np

from netwright.errors import UserError, nearest

_NOT = {"transfer"}


class Predictor(Protocol):
    """A regression from encodings to a number."""

    def fit(self, x: np.ndarray, y: np.ndarray) -> object:
        """Learn from n rows."""

    def predict(self, x: np.ndarray) -> np.ndarray:
        """[n] values for n rows."""


def names() -> list[str]:
    """All predictors, by file name."""
    return sorted(m.name.replace("_", "-") for m in pkgutil.iter_modules(__path__) if m.name not in _NOT)


def get(name: str) -> Callable[..., Predictor]:
    """The predictor of that name: `get(name)(seed=0)`. UserError for an unknown one."""
    spelled = name.replace("_", "-")
    if spelled not in names():
        raise UserError(f"no predictor is called {name!r} {nearest(spelled, names())}")
    found: Callable[..., Predictor] = import_module(f"{__name__}.{spelled.replace('-', '_')}").predictor
    return found


__all__ = ["Predictor", "get", "names"]
