"""199 architectures each of two spaces, trained from scratch on three further data sets, with training-free scores
(NAS-Bench-Suite-Zero)."""

from __future__ import annotations

from pathlib import Path

from netwright.errors import UserError
from netwright.estimate.tables.files import read
from netwright.estimate.tables.small import SCORES, sampled
from netwright.estimate.tables.table import Benchmark

SPACES = ("nasbench301", "transbench101_micro")
DATASETS = ("ninapro", "scifar100", "svhn")


def benchmark(folder: Path, space: str = "nasbench301", dataset: str = "svhn") -> Benchmark:
    """From zero-cost-tables/naslib_zc_9x.parquet; UserError for a space or data set that is not there."""
    table = read(folder / "zero-cost-tables" / "naslib_zc_9x.parquet")
    chosen = (table["space"] == space) & (table["dataset"] == dataset)
    if not chosen.any():
        raise UserError(f"zc-other holds the spaces {', '.join(sorted(set(table['space'])))} on "
                        f"{', '.join(DATASETS)}, not {space!r} on {dataset!r}")
    part = {name: column[chosen] for name, column in table.items()}
    columns = {score: part[score] for score in SCORES if score in part}
    return sampled(f"zc-{space}-{dataset}", part["arch"], part["val_accuracy"], columns, f"{space} cells, {dataset}")
