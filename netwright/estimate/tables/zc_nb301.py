"""725 architectures of the DARTS space (NAS-Bench-301's surrogate gives the accuracy) with training-free scores
(Krishnakumar et al. 2022, NAS-Bench-Suite-Zero)."""

from __future__ import annotations

from pathlib import Path

from netwright.estimate.tables.files import read
from netwright.estimate.tables.small import SCORES, sampled
from netwright.estimate.tables.table import Benchmark


def benchmark(folder: Path) -> Benchmark:
    """From zero-cost-tables/zc_nasbench301.parquet."""
    table = read(folder / "zero-cost-tables" / "zc_nasbench301.parquet")
    columns = {score: table[score] for score in SCORES if score in table}
    return sampled("zc-nb301", table["arch"].tolist(), table["val_accuracy"], columns,
                   "DARTS cells, CIFAR-10, surrogate accuracy")
