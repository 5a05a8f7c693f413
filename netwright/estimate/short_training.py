"""A short training: the estimate that everything else is judged by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from netwright.graph import Graph

Data = tuple[np.ndarray, np.ndarray]


def estimator(
    graph: Graph,
    *,
    train: Callable[..., Any],
    evaluate: Callable[..., dict[str, float]],
    recipe: Any,
    folds: Sequence[tuple[Data, Data]],
    seed: int = 0,
) -> dict[str, float]:
    """{"loss", "accuracy"} on the held-out part, mean over `folds` of (training, validation) arrays.

    `train` and `evaluate` are those of `netwright.train`, handed in.
    """
    rows = [evaluate(train(graph, *fit, recipe, seed=seed).graph, *held) for fit, held in folds]
    return {name: float(np.mean([row[name] for row in rows])) for name in ("loss", "accuracy")}
