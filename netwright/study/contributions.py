"""What the training recipe, the architecture and the seed each contribute to an accuracy (Yang, Esperanca and Carlucci
2020, section 4: a recipe's tricks move accuracy more than an architecture does)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from netwright.devices import Device
from netwright.errors import UserError
from netwright.search import Trial
from netwright.spaces import Candidate, Space
from netwright.tasks import Task
from netwright.train import default_recipe
from netwright.train.recipe import Augment

from . import statistics
from .defaults import space_for
from .evaluate import Evaluator

DRAWS = 1_000  # candidates drawn for those that fit
LONGER = 3.0  # times the samples, of the last rung
Tell = Callable[[float, str], None]


@dataclass(frozen=True)
class Rung:
    """What of the recipe is switched off, by field, and how many times the usual short training it runs."""

    name: str
    off: dict[str, Any]
    fidelity: float = 1.0


TRICKS: dict[str, dict[str, Any]] = {
    "schedule": {"schedule": "constant", "warmup": 0.0}, "decay, smoothing": {"decay": 0.0, "smoothing": 0.0},
    "averaged weights": {"ema": 0.0}, "augmentation": {"augment": Augment()},
}  # name -> the fields that make it, as they are without it


def ladder() -> list[Rung]:
    """A recipe taken apart: from bare optimisation to all of it, each rung with one trick more, then longer."""
    names = ["bare", *(f"+ {trick}" for trick in TRICKS)]
    without = [dict(pair for off in list(TRICKS.values())[at:] for pair in off.items()) for at in range(len(names))]
    return [*map(Rung, names, without), Rung(f"+ {LONGER:g} x longer", {}, LONGER)]


@dataclass(frozen=True)
class Contributions:
    """Validation accuracies [rungs, architectures, seeds] of the same random architectures under every recipe."""

    space: str
    task: str
    rungs: list[Rung]
    architectures: list[Candidate]
    accuracy: np.ndarray

    def shares(self) -> dict[str, float]:
        """The shares of the whole variance (sums of squares of a two-way analysis) that go to the recipe, the
        architecture, which of them suits which, and the seed."""
        a = self.accuracy
        mean = a.mean()
        cell, recipe, architecture = a.mean(2), a.mean((1, 2)), a.mean((0, 2))
        squares = {
            "recipe": a[0].size * ((recipe - mean) ** 2).sum(),
            "architecture": a[:, 0].size * ((architecture - mean) ** 2).sum(),
            "interaction": a.shape[2] * ((cell - recipe[:, None] - architecture + mean) ** 2).sum(),
            "seed": ((a - cell[:, :, None]) ** 2).sum(),
        }
        whole = sum(squares.values())
        return {name: float(part / whole) if whole else 0.0 for name, part in squares.items()}

    def between_seeds(self) -> float | None:
        """The mean rank correlation (Spearman) of the architectures between two seeds of one recipe; None where all
        are alike."""
        return _mean([_rank(one[:, i], one[:, j]) for one in self.accuracy
                      for i in range(one.shape[1]) for j in range(i)])

    def rows(self) -> list[dict[str, Any]]:
        """One row a rung: the mean over architectures with its interval, what the rung adds, and two deviations."""
        found = []
        for place, rung in enumerate(self.rungs):
            means = self.accuracy[place].mean(1)
            mean = statistics.interval(means.tolist())
            gain = statistics.interval((means - self.accuracy[place - 1].mean(1)).tolist()) if place else None
            found.append({
                "recipe": rung.name, "mean": mean.mean, "low": mean.low, "high": mean.high,
                "gain": gain and gain.mean, "gain_low": gain and gain.low, "gain_high": gain and gain.high,
                "between_architectures": float(means.std(ddof=1)),
                "between_seeds": float(np.sqrt(self.accuracy[place].var(1, ddof=1).mean())),
                "rank_with_last": _rank(means, self.accuracy[-1].mean(1)),
            })
        return found

    def to_json(self) -> dict[str, Any]:
        """What `netwright ablate --json` prints."""
        return {
            "space": self.space, "task": self.task, "accuracy_of": "validation data", "rows": self.rows(),
            "shares_of_variance": self.shares(), "rank_correlation_between_seeds": self.between_seeds(),
            "architectures": [dict(candidate) for candidate in self.architectures],
            "accuracy": self.accuracy.tolist(),
        }


def contributions(task: Task, device: Device, *, space: str = "auto", architectures: int = 8, seeds: int = 2,
                  recipe: Mapping[str, Any] | None = None, seed: int = 0,
                  tell: Tell = lambda share, words: None) -> Contributions:
    """Train random architectures that the device accepts under every rung of the task's recipe, `seeds` times each.

    Judged on validation data, a part of the training set. UserError for fewer than 3 architectures or 2 seeds, or where
    too few of 1,000 draws fit the device.
    """
    if architectures < 3 or seeds < 2:
        raise UserError("contributions take at least 3 architectures and 2 seeds: a spread needs them")
    found = space_for(task, space)
    whole = default_recipe(task.kind, task.x.shape, len(task.train.y)).changed(recipe or {})
    rungs = ladder()
    drawn = _drawn(found, Evaluator(found, task, device, whole, seed), architectures, seed)
    accuracy = np.zeros((len(rungs), architectures, seeds))
    for at, rung in enumerate(rungs):
        evaluator = Evaluator(found, task, device, whole, seed, off=rung.off)
        for place, candidate in enumerate(drawn):
            for run in range(seeds):
                done = (at * architectures + place) * seeds + run
                tell(done / accuracy.size, f"{rung.name}: architecture {place + 1}, seed {run + 1}")
                accuracy[at, place, run] = evaluator(Trial(run, candidate, rung.fidelity))["accuracy"]
    return Contributions(found.name, task.name, rungs, drawn, accuracy)


def _drawn(space: Space, evaluator: Evaluator, count: int, seed: int) -> list[Candidate]:
    rng = np.random.default_rng(seed)
    found: dict[Candidate, None] = {}
    for _ in range(DRAWS):
        candidate = space.sample(rng)
        if candidate not in found and evaluator.fits(candidate):
            found[candidate] = None
            if len(found) == count:
                return list(found)
    raise UserError(f"only {len(found)} of {DRAWS:,} random architectures of {space.name} fit the device, not {count}; "
                    "raise its limits")


def _rank(one: np.ndarray, two: np.ndarray) -> float | None:
    from scipy.stats import spearmanr

    if not np.ptp(one) or not np.ptp(two):
        return None
    return float(spearmanr(one, two).statistic)


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
