"""The weights that a candidate inherits from a supernet, judged on held-out data without training (Cai et al. 2020)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from netwright.graph import Graph


def estimator(
    graph: Graph,
    *,
    inherited: Callable[[Graph, np.ndarray], Graph],
    evaluate: Callable[..., dict[str, float]],
    calibration: np.ndarray,
    held: tuple[np.ndarray, np.ndarray],
) -> dict[str, float]:
    """{"loss", "accuracy"} on `held`; `calibration` inputs [n, ...] measure the batch norms anew.

    `inherited` is that of a `netwright.train.Supernet`, `evaluate` that of `netwright.train`, handed in.
    """
    found = evaluate(inherited(graph, calibration), *held)
    return {name: found[name] for name in ("loss", "accuracy")}
