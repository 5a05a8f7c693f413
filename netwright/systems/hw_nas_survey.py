"""The survey's warnings, measured: multiply-adds are a poor proxy of latency, and ten measurements are a good one."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from netwright.estimate import tables
from netwright.estimate.predictors.transfer import latency
from netwright.estimate.tables.nb201_latency import REFERENCES, TEST, TRAIN, counts
from netwright.study.statistics import rank_correlation

from . import Claim, Measured, System


def flops(data: Path | None, seed: int) -> Measured:
    """The worst Spearman of multiply-adds and latency over HELP's test devices."""
    table = tables.get("nb201-latency", str(data) if data else None)
    ranks = {name: rank_correlation(table.values("flops"), table.values(f"latency:{name}"))[0] for name in TEST}
    worst = min(ranks, key=lambda name: ranks[name])
    return Measured(ranks[worst], ranks[worst] < 0.8 < max(ranks.values()),
                    f"on {worst}; best {max(ranks.values()):.2f}, over 9,445 cells")


def transfer(data: Path | None, seed: int) -> Measured:
    """Mean Spearman on HELP's test devices from its ten reference architectures."""
    table = tables.get("nb201-latency", str(data) if data else None)
    known = np.array([table.values(f"latency:{name}") for name in TRAIN]).T
    rows, ranks = np.array(REFERENCES), []
    for name in TEST:
        truth = table.values(f"latency:{name}")
        ranks.append(rank_correlation(latency(known, counts(table), rows, truth[rows]), truth)[0])
    mean = float(np.mean(ranks))
    return Measured(mean, mean > 0.932, "six devices; settings chosen on the training devices alone")


system = System(
    name="hw-nas-survey",
    paper="Benmeziane et al. 2021 (A comprehensive survey on hardware-aware NAS)",
    about="four axes of hardware-aware search, and what to beware of; `netwright taxonomy` has the axes",
    claims=(
        Claim("multiply-adds are a poor proxy of latency", "poor", "NAS-Bench-201 on six devices", "Spearman", flops),
        Claim("few measurements carry over from other devices", "0.932 (HELP)", "ten measurements, six devices",
              "Spearman", transfer),
    ),
)
