"""NAS-Bench-201 (Dong and Yang 2020): all 15,625 cells trained on three data sets, with training-free scores of the
9,445 that stay different when unreachable operations are dropped (NAS-Bench-Suite-Zero)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from netwright.estimate.tables.files import read
from netwright.estimate.tables.small import SCORES
from netwright.estimate.tables.table import Benchmark, Signal
from netwright.spaces import Candidate, get

# the recorded column behind each signal
COLUMNS = {
    "val12": "c10_val_acc_12ep", "val200": "c10_val_acc_200ep", "test": "c10_test_acc",
    "test-cifar100": "c100_test_acc", "test-imagenet16": "in16_test_acc", "seconds12": "c10_cost_12ep_s",
}
SIGNALS = (
    Signal("val12", "validation", "max", "%", "seconds12", "CIFAR-10, validation after the 12-epoch schedule"),
    Signal("val200", "validation", "max", "%", "", "CIFAR-10, validation after 200 epochs, one seed"),
    Signal("test", "test", "max", "%", "", "CIFAR-10, test after 200 epochs, mean of the seeds"),
    Signal("test-cifar100", "test", "max", "%", "", "CIFAR-100, test after 200 epochs"),
    Signal("test-imagenet16", "test", "max", "%", "", "ImageNet16-120, test after 200 epochs"),
    Signal("seconds12", "cost", "min", "s", "", "training and validation of the 12-epoch schedule on one GPU"),
)


class NB201(Benchmark):
    """`query` takes the benchmark's strings too; row i is its index i. Scores are NaN where none was recorded."""

    def parse(self, text: str) -> Candidate:
        """A candidate from "|op~0|+|op~0|op~1|+|op~0|op~1|op~2|"; UserError for another text."""
        from netwright.spaces.zoo.nb201 import from_string

        return from_string(text)

    @property
    def scored(self) -> np.ndarray:
        """The rows [9445] that have scores."""
        return np.flatnonzero(~np.isnan(self.columns["synflow"]))


def benchmark(folder: Path, name: str = "nb201", extra: tuple[Signal, ...] = (),
              columns: dict[str, np.ndarray] | None = None) -> NB201:
    """From nb201/nb201_accuracy.parquet and nb201/nb201_zero_cost.parquet; more signals may be handed in."""
    from netwright.spaces.zoo.nb201 import EDGES

    table = read(folder / "nb201" / "nb201_accuracy.parquet", ["arch", *COLUMNS.values()])
    scores = read(folder / "nb201" / "nb201_zero_cost.parquet")
    found: dict[str, Any] = {name: table[column] for name, column in COLUMNS.items()}
    for score in SCORES:
        found[score] = np.full(len(table["arch"]), np.nan)
        found[score][scores["index"]] = scores[f"{score}_c10"]
    signals = (*SIGNALS, *(Signal(score, "score", "max") for score in SCORES), *extra)
    keys = [_key(text) for text in table["arch"]]
    assert len(EDGES) == len(keys[0])
    return NB201(name, get("nb201"), keys, signals, {**found, **(columns or {})},
                 "all NAS-Bench-201 cells on CIFAR-10, CIFAR-100 and ImageNet16-120")


def _key(text: str) -> tuple[str, ...]:
    """The six operations, in the order of the benchmark's strings, which is the space's."""
    return tuple(part[:-2] for part in text.replace("+", "").split("|") if part)
