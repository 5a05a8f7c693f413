"""2,128 cells of TransNAS-Bench-101's micro space, one task, with training-free scores (NAS-Bench-Suite-Zero)."""

from __future__ import annotations

from pathlib import Path

from netwright.estimate.tables.files import read
from netwright.estimate.tables.small import SCORES, sampled
from netwright.estimate.tables.table import Benchmark


def benchmark(folder: Path) -> Benchmark:
    """From zero-cost-tables/zc_tnb101_micro.parquet."""
    table = read(folder / "zero-cost-tables" / "zc_tnb101_micro.parquet")
    columns = {score: table[score] for score in SCORES if score in table}
    return sampled("zc-tnb101", table["net"].tolist(), table["val_accs"], columns,
                   "TransNAS-Bench-101 micro cells, one task")
