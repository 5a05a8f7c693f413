"""What a study was given, checked: its objectives, and a folder that can be written to."""

from __future__ import annotations

import os
from pathlib import Path

from netwright.errors import UserError
from netwright.estimate import scores
from netwright.search import Objective

from .evaluate import SHARED, TRAINED

DIRECTIONS = {
    "loss": "min",
    "accuracy": "max",
    "latency_ms": "min",
    "ram_bytes": "min",
    "flash_bytes": "min",
    "macs": "min",
    "parameters": "min",
    "instructions": "min",
}


def objectives_of(names: tuple[str, ...], estimator: str) -> tuple[Objective, ...]:
    """Those asked for; a training-free score is its own objective in place of the loss. UserError for unknown ones."""
    known = scores()
    if estimator not in (TRAINED, SHARED) and estimator not in known:
        judges = sorted({TRAINED, SHARED, *known})
        raise UserError(f"no estimator {estimator!r} judges candidates (those that do: {', '.join(judges)})")
    found = []
    for name in names:
        if name not in DIRECTIONS:
            raise UserError(f"unknown objective {name!r} (there are: {', '.join(DIRECTIONS)})")
        if estimator in known and name in ("loss", "accuracy"):
            if name == "accuracy":
                raise UserError(f"the estimator {estimator!r} measures no accuracy; leave --objective out")
            found.append(Objective(estimator, known[estimator]))
        else:
            found.append(Objective(name, DIRECTIONS[name]))  # type: ignore[arg-type]
    return tuple(found)


def writable(folder: Path) -> None:
    """Make the folder. Raises UserError when nothing can be written there."""
    probe = folder / f".writable.{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"netwright")
        probe.unlink()
    except OSError as error:
        raise UserError(f"cannot write to {folder}: {error.strerror or error}; choose another --out") from None
