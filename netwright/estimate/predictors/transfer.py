"""A new device's latencies from a few measurements on it and many on other devices.

The task is HELP's (Lee et al. 2021, section 4.1), which meta-learns a network for it; this is a Gaussian process. Its
covariance over architectures is what the known devices say: their principal components, a smooth function of the
first three, the operations' counts, and one known device that the new one may be like. Which device that is, is
averaged over by how well each explains the measurements. Settings were chosen by leaving out one of HELP's training
devices at a time (benchmarks/latency_transfer.py), on logarithms of latencies.
"""

from __future__ import annotations

import numpy as np

SETTINGS = {"components": 0.3, "smooth": 0.05, "counts": 0.1, "device": 0.1, "level": 1.0, "noise": 0.1, "length": 2.0}
_FIRST = 3


def latency(known: np.ndarray, counts: np.ndarray, measured: np.ndarray, values: np.ndarray,
            settings: dict[str, float] | None = None) -> np.ndarray:
    """Predicted latencies [n] of a device of which only `measured` architectures' are known.

    known     [n, devices] latencies of all architectures on other devices, in any unit, positive
    counts    [n, d] how often each operation stands in an architecture
    measured  [m] rows; values [m] their latencies, positive
    ValueError for latencies that are not positive, or fewer than two measurements.
    """
    if len(measured) < 2 or len(measured) != len(values):
        raise ValueError("a device is known by at least two measurements, one value each")
    if not (np.all(known > 0) and np.all(np.asarray(values) > 0)):
        raise ValueError("latencies are positive; leave out what did not compile")
    weigh = {**SETTINGS, **(settings or {})}
    logs = np.log(known)
    devices = (logs - logs.mean(axis=0)) / logs.std(axis=0)
    scores, strengths = _components(devices)
    counted, places = counts - counts.mean(axis=0), float(counts.sum(axis=1).max())
    shared = (
        weigh["components"] * _product(scores * strengths, measured)
        + weigh["smooth"] * _smooth(scores[:, :_FIRST], measured, weigh["length"])
        + weigh["counts"] * _product(counted, measured) / places
        + weigh["level"]
    )
    target = np.log(np.asarray(values, dtype=float))
    centre, spread = target.mean(), target.std() or 1.0
    wanted = (target - centre) / spread
    guesses, evidence = [], []
    for device in devices.T:
        covariance = shared + weigh["device"] * np.outer(device, device[measured])
        lower = np.linalg.cholesky(covariance[measured] + weigh["noise"] * np.eye(len(measured)))
        solved = np.linalg.solve(lower, wanted)
        evidence.append(-0.5 * float(solved @ solved) - float(np.log(np.diag(lower)).sum()))
        guesses.append(covariance @ np.linalg.solve(lower.T, solved))
    weights = np.exp(np.array(evidence) - max(evidence))
    found: np.ndarray = np.exp(centre + spread * (weights / weights.sum()) @ np.array(guesses))
    return found


def _components(devices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scores [n, k] with variance 1 and the share of the first component's variance that each has."""
    left, sizes, _ = np.linalg.svd(devices - devices.mean(axis=0), full_matrices=False)
    return left * np.sqrt(len(devices)), (sizes / sizes[0]) ** 2


def _product(rows: np.ndarray, at: np.ndarray) -> np.ndarray:
    found: np.ndarray = rows @ rows[at].T
    return found


def _smooth(rows: np.ndarray, at: np.ndarray, length: float) -> np.ndarray:
    apart = (rows**2).sum(axis=1)[:, None] + (rows[at] ** 2).sum(axis=1)[None] - 2 * rows @ rows[at].T
    found: np.ndarray = np.exp(-apart / (2 * length**2))
    return found
