"""NAS evaluation is frustratingly hard: relative improvement, and how little rank survives at the top."""

from __future__ import annotations

from pathlib import Path

from netwright.estimate import tables
from netwright.study import statistics
from netwright.study.compare import Budget, compare

from . import Claim, Measured, System


def improvement(data: Path | None, seed: int) -> Measured:
    """Relative improvement of evolution over random search at the same budget, and over the average cell."""
    table = tables.get("nb201", str(data) if data else None)
    found = compare([table], {"regularised-evolution": {"population": 10, "sample": 3}}, [Budget(seconds=12_000)],
                    signal="val12", seeds=20, seed=seed)
    row = next(r for r in found.rows() if r["strategy"] == "regularised-evolution" and r["signal"] == "test")
    note = (f"over random search at the same budget, {row['over_random_low']:+.2f} to {row['over_random_high']:+.2f}; "
            f"over the average cell {row['over_average_percent']:+.1f} %: most of that is the space's")
    return Measured(row["over_random_percent"], -1 < row["over_random_percent"] < 1, note)


def at_the_top(data: Path | None, seed: int) -> Measured:
    """Spearman of two measures of accuracy within the best 1 % of cells."""
    table = tables.get("nb201", str(data) if data else None)
    whole, within = statistics.rank_correlation(table.values("val200"), table.values("test"))
    note = f"validation against test accuracy within the best 1 % of cells; {whole:.3f} over all of them"
    return Measured(within, within < 0.5 < whole, note)


system = System(
    name="nas-evaluation",
    paper="Yang, Esperanca and Carlucci 2020 (NAS evaluation is frustratingly hard)",
    about="what a search adds over random architectures of its own space, said with intervals and several seeds",
    claims=(
        Claim("relative improvement of a search over random search", "-0.3 to +0.8 %",
              "eight methods in the DARTS space, CIFAR-10, trained by their own protocols", "%", improvement),
        Claim("ranks of good architectures are mostly noise", "moderate rank correlation between seeds",
              "DARTS space, the same architectures retrained", "Spearman", at_the_top),
    ),
)
