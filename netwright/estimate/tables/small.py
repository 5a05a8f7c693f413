"""What the tables of training-free scores on sampled architectures share."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any

import numpy as np

from netwright.estimate.tables.table import Benchmark, Signal
from netwright.spaces import Choice, Space

SCORES = ("epe_nas", "fisher", "flops", "grad_norm", "grasp", "jacov", "l2_norm", "nwot", "params", "plain", "snip",
          "synflow", "zen")


def sampled(name: str, texts: Sequence[str], accuracy: np.ndarray, columns: dict[str, np.ndarray],
            about: str) -> Benchmark:
    """A benchmark of some architectures whose text is nested tuples of small numbers: a decision for each.

    `val` is the recorded validation accuracy in percent; the rest are scores. A text that repeats is taken once.
    """
    rows = list({_flat(ast.literal_eval(text)): row for row, text in reversed(list(enumerate(texts)))}.items())[::-1]
    keys = [key for key, _ in rows]
    at = [row for _, row in rows]
    tree = {f"{place:02d}": Choice(sorted(set(values))) for place, values in enumerate(zip(*keys))}
    signals = [Signal("val", "validation", "max", "%"), *(Signal(score, "score", "max") for score in columns)]
    found = {"val": accuracy, **columns}
    return Benchmark(name, Space(name, tree), keys, signals,
                     {signal: np.asarray(column, dtype=float)[at] for signal, column in found.items()}, about)


def _flat(nested: Any) -> tuple[Any, ...]:
    if isinstance(nested, (list, tuple)):
        return tuple(value for part in nested for value in _flat(part))
    return (nested,)
