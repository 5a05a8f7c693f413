"""What a study writes down beside its results, so that a report can be drawn and the study repeated."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from netwright.devices import Profile

from .record import Row

_PACKAGES = ("numpy", "torch", "optuna", "ziglang", "unicorn", "scikit-learn")


def trials(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """The search, one object a trial: number, candidate, metrics, status (None: cut off), fidelity and order told."""
    return [
        {
            "number": row.trial.number,
            "candidate": dict(row.trial.candidate),
            "metrics": row.metrics,
            "status": row.status,
            "fidelity": row.trial.fidelity,
            "told": row.order,
        }
        for row in rows
    ]


def layers(cost: Profile) -> list[dict[str, Any]]:
    """The cost model's layers: name, op, shape, macs, instructions, cycles, ram_bytes, flash_bytes; all modelled."""
    return [{**layer._asdict(), "shape": list(layer.shape)} for layer in cost.layers]


def versions() -> dict[str, str]:
    """What the result depends on: Python, the machine, and the packages that are installed."""
    found = {"python": platform.python_version(), "machine": f"{platform.system()} {platform.machine()}"}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
