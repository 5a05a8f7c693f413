"""HHNAS-AM: mutation rates learned by Q-learning against fixed ones, on a planted problem and a recorded table; and
templates of text classifiers searched with them, on news."""

from __future__ import annotations

import csv
import gzip
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from netwright import search, spaces, tasks
from netwright.errors import UserError
from netwright.estimate import tables
from netwright.search import Objective
from netwright.spaces import Candidate, Choice, Space
from netwright.spaces.zoo.text_templates import PARTS, usual
from netwright.study.simulate import simulate
from netwright.study.trainings import Trainings, searched
from netwright.tasks import Task

from . import Claim, Measured, System

RUNS, MOST = 20, 300
NEWS, TRAINED = ("ag-news-7600", "ag_news_test.csv.gz"), 6000
TRIALS = 40
ACCURACY = Objective("accuracy", "max")
VOCABULARY, LENGTH = 8192, 40  # numbers, and words of an item; the median has 38
SHORT = {"epochs": 3.0, "batch": 64, "ema": 0.98, "smoothing": 0.1}
TEMPLATES = tuple(usual(*parts) for count in (1, 2, 3) for parts in combinations(PARTS, count))
ARMS: dict[str, tuple[str, dict[str, Any]]] = {
    "learned": ("adaptive-mutation", {"first": len(TEMPLATES)}),
    "fixed": ("adaptive-mutation", {"first": len(TEMPLATES), "fixed": True}),
    "random": ("random", {}),
}


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


def items(data: Path | None) -> tuple[list[str], list[str]]:
    """AG News' test part, 7,600 texts and their classes, shuffled by generator 0. Raises UserError where it is not."""
    path = data.joinpath(*NEWS) if data is not None else None
    if path is None or not path.is_file():
        raise UserError(f"hhnas-am needs {'/'.join(NEWS)} of the recorded data: give --data DIR or NETWRIGHT_DATA")
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    order = np.random.default_rng(0).permutation(len(rows))
    return [f"{rows[i][1]} {rows[i][2]}" for i in order], [rows[i][0] for i in order]


def news(data: Path | None) -> Task:
    """The first 6,000 of `items` to train on, the other 1,600 to test."""
    texts, labels = items(data)
    train, test = (texts[:TRAINED], labels[:TRAINED]), (texts[TRAINED:], labels[TRAINED:])
    return tasks.from_texts("ag-news", train, test, tasks.Words(VOCABULARY, LENGTH))


def trainings(task: Task, seed: int) -> Trainings:
    """Short trainings of templates on news."""
    space = spaces.get("text-templates", vocabulary=VOCABULARY)
    return Trainings(task, space, SHORT, seed)


def search_of(found: Trainings, arm: str, trials: int = TRIALS,
              objective: Objective = ACCURACY) -> tuple[list[Candidate], dict[str, float]]:
    """One arm's search, which begins with the templates as they are; as `study.trainings.searched`."""
    strategy, settings = ARMS[arm]
    return searched(found, strategy, trials, objective, initial=TEMPLATES, **settings)


def templates(data: Path | None, seed: int) -> Measured:
    """Points of test accuracy that a search of 40 trials gains over the best of the seven templates as they are."""
    trained = trainings(news(data), seed)
    best, _ = search_of(trained, "learned")
    found, before = trained.test(best[-1]), trained.test(trained.best(TEMPLATES, ACCURACY))
    return Measured(found - before, found - before >= 1, f"test {found:.1f} % and {before:.1f} %, {TRIALS} trials, one "
                                                         "seed; trainings of seconds")


system = System(
    name="hhnas-am",
    paper="HHNAS-AM 2025",
    about="templates chosen by bits, their parts tuned by mutation rates that are learned",
    claims=(
        Claim("learned rates find a planted optimum sooner", "no such figure", "3 of 12 decisions matter", "times",
              planted),
        Claim("learned rates reach more", "+8 % on Spider's database prediction",
              "another task and space, no code was published", "points", recorded),
        Claim("a search over text templates beats the best template with usual settings by a point", "no such figure",
              "AG News, 6,000 texts to train on; published with RoBERTa on Spider", "points", templates),
    ),
)
