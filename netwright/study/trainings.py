"""Short trainings of one space's candidates on one task, each candidate once, and searches over them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from netwright import search, tasks
from netwright.search import Objective
from netwright.spaces import Candidate, Space
from netwright.tasks import Task

HELD = 0.2  # of the training set, to judge by


@dataclass
class Trainings:
    """`trainings(candidate)` trains on four fifths of the training set and judges on the rest; no device is asked.

    recipe  what differs from the default `Recipe`, before what a candidate brings itself
    """

    task: Task
    space: Space
    recipe: Mapping[str, Any]
    seed: int
    known: dict[Candidate, dict[str, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.parts = self.task.split_validation(HELD, seed=self.seed)

    def __call__(self, candidate: Candidate) -> dict[str, float]:
        """{"loss", "accuracy"} on validation data."""
        if candidate not in self.known:
            self.known[candidate] = self._trained(candidate, *self.parts)
        return self.known[candidate]

    def best(self, candidates: Sequence[Candidate], objective: Objective) -> Candidate:
        """The best on validation data, the first of equals."""
        return min(candidates, key=lambda candidate: objective.cost(self(candidate)[objective.name]))

    def test(self, candidate: Candidate) -> float:
        """Test accuracy in %, after the same training on the whole training set."""
        return 100 * self._trained(candidate, self.task.train, self.task.test)["accuracy"]

    def _trained(self, candidate: Candidate, fit: tasks.Split, held: tasks.Split) -> dict[str, float]:
        from netwright.train import Recipe, evaluate, train

        build = self.space.build(candidate, self.task.x, self.task.y)
        recipe = Recipe().changed({**self.recipe, **build.recipe})
        return evaluate(train(build.graph, fit.x, fit.y, recipe, seed=self.seed).graph, held.x, held.y)


def searched(trainings: Trainings, strategy: str, trials: int, objective: Objective,
             **settings: Any) -> tuple[list[Candidate], dict[str, float]]:
    """One search by a validation result: the best candidate after each trial, and the mutation rates at its end where
    the strategy learns any."""
    run = search.get(strategy)(trainings.space, [objective], seed=trainings.seed, **settings)
    best: list[Candidate] = []
    for _ in range(trials):
        trial = run.ask()[0]
        run.tell(trial, trainings(trial.candidate))
        best.append(trainings.best([*best[-1:], trial.candidate], objective))
    return best, getattr(run, "rates", {})
