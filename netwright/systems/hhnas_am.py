"""HHNAS-AM: mutation rates learned by Q-learning against fixed ones, on a planted problem and a recorded table."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from netwright import search
from netwright.estimate import tables
from netwright.search import Objective
from netwright.spaces import Choice, Space
from netwright.study.simulate import simulate

from . import Claim, Measured, System

RUNS, MOST = 20, 300


def planted(data: Path | None, seed: int) -> Measured:
    """Median trials with fixed rates over those with learned ones; 3 of 12 decisions matter."""
    space = Space("planted", {f"{place:02d}": Choice(("a", "b", "c", "d", "e")) for place in range(12)})
    counts: dict[bool, list[int]] = {True: [], False: []}
    for run in range(seed, seed + RUNS):
        useful = [f"{place:02d}" for place in np.random.default_rng(run).permutation(12)[:3]]
        for fixed, found in counts.items():
            strategy = search.get("adaptive-mutation")(space, [Objective("loss")], seed=run, fixed=fixed, rate=0.1)
            number = 0
            for number in range(1, MOST + 1):  # noqa: B007
                trial = strategy.ask()[0]
                loss = float(sum("abcde".index(trial.candidate[address]) for address in useful))
                strategy.tell(trial, {"loss": loss})
                if loss == 0:
                    break
            found.append(number)
    ratio = float(np.median(counts[True]) / np.median(counts[False]))
    return Measured(ratio, ratio > 1, f"medians of {RUNS} runs: fixed {np.median(counts[True]):g} trials, learned "
                                      f"{np.median(counts[False]):g}")


def recorded(data: Path | None, seed: int) -> Measured:
    """Points of test accuracy that learned rates gain over fixed ones after 100 queries."""
    table = tables.get("nb201", str(data) if data else None)
    means = {}
    for fixed in (False, True):
        chosen = [simulate(search.get("adaptive-mutation")(table.space, [Objective("val12", "max")], seed=run,
                                                           fixed=fixed), table, "val12", queries=100).chosen
                  for run in range(seed, seed + RUNS)]
        means[fixed] = float(table.values("test")[chosen].mean())
    gain = means[False] - means[True]
    return Measured(gain, gain > 0, f"NAS-Bench-201, {RUNS} runs: learned {means[False]:.2f}, fixed {means[True]:.2f}")


system = System(
    name="hhnas-am",
    paper="HHNAS-AM 2025",
    about="templates chosen by bits, their parts tuned by mutation rates that are learned",
    claims=(
        Claim("learned rates find a planted optimum sooner", "no such figure", "3 of 12 decisions matter", "times",
              planted),
        Claim("learned rates reach more", "+8 % on Spider's database prediction",
              "another task and space, no code was published", "points", recorded),
    ),
)
