"""Latency on a new device from ten measurements: python -m benchmarks.latency_transfer [--choose].

NAS-Bench-201 on HELP's devices: nine known, six new ones (HELP published a mean Spearman of 0.932 with its ten
reference architectures). Printed: each new device with HELP's ten and over 50 random tens, beside the known device
that ranks most alike, used unchanged. With --choose, how the settings were found: each known device (with the same
card at other batch sizes) is left out in turn, and random settings are drawn for so many seconds.
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np
from scipy.stats import spearmanr

from benchmarks.recorded import root
from netwright.estimate.predictors.transfer import SETTINGS, latency
from netwright.estimate.tables import Benchmark, get
from netwright.estimate.tables.nb201_latency import REFERENCES, TEST, TRAIN
from netwright.estimate.tables.nb201_latency import counts as counts_of

GRID = {"components": (0.0, 0.1, 0.3, 1.0), "smooth": (0.0, 0.05, 0.1), "counts": (0.02, 0.05, 0.1),
        "device": (0.1, 0.3, 1.0), "noise": (0.01, 0.03, 0.1)}


def rank(table: Benchmark, counts: np.ndarray, known: list[str], new: str, rows: np.ndarray,
         settings: dict[str, float]) -> float:
    """Spearman of predicted and measured latency over all cells."""
    truth = table.values(f"latency:{new}")
    sources = np.array([table.values(f"latency:{name}") for name in known]).T
    return float(spearmanr(latency(sources, counts, rows, truth[rows], settings), truth).statistic)


def tens(table: Benchmark, number: int) -> list[np.ndarray]:
    """Random tens of cells, one a seed."""
    return [np.random.default_rng(seed).permutation(len(table))[:10] for seed in range(number)]


def choose(table: Benchmark, counts: np.ndarray, seconds: float) -> None:
    """Print random settings by their mean over left-out known devices."""
    rng, end, found = np.random.default_rng(0), time.monotonic() + seconds, []
    while time.monotonic() < end:
        settings = {**SETTINGS, **{name: float(rng.choice(values)) for name, values in GRID.items()}}
        references, drawn = [], []
        for new in TRAIN:
            known = [name for name in TRAIN if name != new and name.rsplit("_", 1)[0] != new.rsplit("_", 1)[0]]
            references.append(rank(table, counts, known, new, np.array(REFERENCES), settings))
            drawn += [rank(table, counts, known, new, rows, settings) for rows in tens(table, 3)]
        found.append((np.mean(references) + np.mean(drawn), np.mean(references), np.mean(drawn), settings))
    for _, one, other, settings in sorted(found, key=lambda entry: -entry[0])[:5]:
        print(f"{one:.4f} (references) {other:.4f} (random)  {settings}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data")
    parser.add_argument("--choose", type=float, metavar="SECONDS")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    table = get("nb201-latency", str(root(given.data)))
    counts = counts_of(table)
    if given.choose:
        choose(table, counts, given.choose)
        return
    rows = []
    for new in TEST:
        truth = table.values(f"latency:{new}")
        alike = {name: float(spearmanr(table.values(f"latency:{name}"), truth).statistic) for name in TRAIN}
        best = max(alike, key=lambda name: alike[name])
        rows.append({"device": new, "references": rank(table, counts, list(TRAIN), new, np.array(REFERENCES), SETTINGS),
                     "random": [rank(table, counts, list(TRAIN), new, ten, SETTINGS) for ten in tens(table, 50)],
                     "nearest": best, "nearest_unchanged": alike[best]})
    mean = {"references": float(np.mean([row["references"] for row in rows])),
            "random": float(np.mean([row["random"] for row in rows]))}
    if given.json:
        print(json.dumps({"rows": rows, "mean": mean}, indent=1))
        return
    for row in rows:
        print(f"{row['device']:14s} {row['references']:.3f}   random tens {np.mean(row['random']):.3f}   "
              f"{row['nearest']} unchanged {row['nearest_unchanged']:.3f}")
    print(f"{'mean':14s} {mean['references']:.4f}  random tens {mean['random']:.4f}")


if __name__ == "__main__":
    main()
