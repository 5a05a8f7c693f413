"""What data can come from: one module a source, each with a `source` object, found by looking through this folder."""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from netwright.tasks.mel import LogMel


@dataclass(frozen=True)
class Options:
    """What the user said beside the path. None is "not said"."""

    label: str | None = None
    window: int | None = None
    stride: int | None = None
    group: str | None = None

    def given(self) -> list[str]:
        """Names of the options that were said."""
        return [name for name, value in vars(self).items() if value is not None]


@dataclass(frozen=True, eq=False)
class Samples:
    """Raw samples as read: finite, at least one, labels not yet numbered.

    x: [n, ...] channels first, or texts, object [n]; labels: int64 or str [n]; group: int64 [n], numbered by first
    appearance, samples with the same number come from one source; start: int64 [n], where a window begins, in rows
    with the groups laid end to end; sound: int16 [n, samples], what x was made of.
    """

    x: np.ndarray
    labels: np.ndarray
    group: np.ndarray | None = None
    start: np.ndarray | None = None
    sound: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Reading:
    """What a source gives back. `test` is None when the data names no test set; then one is held out of `train`.

    `scale`, when set, is the source's own (digits are 0..16); otherwise the training set decides.
    """

    kind: str
    train: Samples
    test: Samples | None = None
    held_out: str = ""
    scale: float | None = None
    features: tuple[str, ...] = ()
    front: LogMel | None = None


class Source(Protocol):
    """`name`: of the built-in task, or the kind of data. `expects`: what it is, for messages ("an .npz file")."""

    name: str
    expects: str
    built_in: bool
    options: frozenset[str]

    def takes(self, path: Path) -> bool:
        """Whether this existing path is of this kind, from its name (or, for a folder, its listing)."""
        ...

    def read(self, path: Path, test: Path | None, options: Options) -> Reading:
        """The samples at `path`, and the test set at `test` made to match. Raises UserError."""
        ...


def all_sources() -> list[Source]:
    """Every source in this folder, by module name."""
    modules = (importlib.import_module(f"{__name__}.{info.name}") for info in pkgutil.iter_modules(__path__))
    return [module.source for module in modules]
