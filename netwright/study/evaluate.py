"""Judging one candidate: what it costs on the device and what it reaches after a short training."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np

from netwright.compress import observe
from netwright.devices import Device, Profile
from netwright.errors import UserError
from netwright.estimate import get as estimator
from netwright.graph import Graph
from netwright.graph.builder import prefixed
from netwright.search import Trial
from netwright.spaces import Build, Candidate, Space
from netwright.tasks import Split, Task
from netwright.train import Recipe, Supernet, short_recipe

TRAINED, SHARED = "short-training", "supernet"  # the estimators that give a loss and an accuracy
CALIBRATION = 1000  # training samples that measure an inheriting network's batch norms
DRAWN, KNOWN, SMALLEST = 300, 32, 0.3  # networks that a static limit is chosen by: draws, of which fit, quantile
SMALL = 2000  # up to so many training samples, two folds are worth their time


@dataclass
class Evaluator:
    """Everything an evaluation needs; goes whole to a worker process.

    `fidelity` of a trial multiplies the short training's samples; validation data is always a part of the training set.
    """

    space: Space
    task: Task
    device: Device
    recipe: Recipe
    seed: int = 0
    options: dict[str, Any] = field(default_factory=dict)  # what every candidate is compiled with
    estimator: str = TRAINED  # short-training, supernet, or one of `netwright.estimate.scores()`
    supernet: Supernet | None = None  # whose weights candidates inherit
    off: dict[str, Any] = field(default_factory=dict)  # recipe fields that are so, whatever a candidate brings
    most_instructions: float | None = None  # of one inference, so that running the test set ends in time
    _folds: list[Any] = field(default_factory=list)
    _inputs: dict[tuple[int, ...], list[Any]] = field(default_factory=dict)

    def __getstate__(self) -> dict[str, Any]:
        """Caches stay behind when an evaluator goes to a worker."""
        return {**vars(self), "_folds": [], "_inputs": {}}

    def build(self, candidate: Candidate) -> Build:
        """The candidate's network for this task."""
        return self.space.build(candidate, self.task.x, self.task.y)

    def compiled(self, build: Build) -> dict[str, Any]:
        """What a candidate is compiled with: its own options before those of all."""
        return {**self.options, **build.options}

    def fits(self, candidate: Candidate) -> bool:
        """Whether the device's rules accept it; also False for what cannot be built at this input size."""
        try:
            build = self.build(candidate)
            options = self.compiled(build)
            if self.supernet is not None and not self.supernet.covers(build.graph):
                return False
            if self.device.refused(build.graph, options):
                return False
            deployed = self.deployed(build.graph)
            if options.get("patches") == "auto":
                options = self.whole_or_patched(deployed, options)
            if self.device.check(deployed, options):
                return False
            cost = self.device.cost(deployed, options)
            return self.most_instructions is None or cost.instructions <= self.most_instructions
        except (ValueError, UserError):
            return False

    def whole_or_patched(self, deployed: Graph, options: dict[str, Any]) -> dict[str, Any]:
        """These options without patches, unless memory is all that a network breaks when it is computed whole: patches
        save memory only, and to choose them takes longer than everything else that is asked of a candidate."""
        whole = {**options, "patches": "none"}
        ram, limit = self.device.cost(deployed, whole).ram_total, self.device.limits.ram_bytes
        alone = limit is not None and ram > limit and len(self.device.check(deployed, whole)) == 1
        return options if alone else whole

    def deployed(self, graph: Graph) -> Graph:
        """The structure of a float network as the device runs it: int8, behind the task's front end."""
        return with_front_end(self.task, self.device.lowered(graph))

    def cost(self, candidate: Candidate) -> Profile:
        """What a candidate costs, front end included: modelled."""
        build = self.build(candidate)
        return self.device.cost(self.deployed(build.graph), self.compiled(build))

    def split(self) -> tuple[Split, Split]:
        """(training, validation) of one supernet, of raw samples."""
        return self.task.split_validation()

    def initial(self, graph: Graph) -> Graph:
        """What a training of the graph begins with: inherited weights where there is a supernet, else none."""
        if self.supernet is None:
            return graph
        return self.supernet.inherited(graph, self.task.inputs(self.split()[0].x[:CALIBRATION], graph.inputs[0].shape))

    def capacity(self, candidates: list[Candidate]) -> list[float]:
        """Scores for picking among proposals."""
        rate = estimator("capacity")
        return [rate(self.build(c).graph)["capacity"] for c in candidates]

    def early_exit(self, seed: int) -> dict[str, Any]:
        """The settings of the strategy of that name: parameters, and the 30 % quantile of those of networks that fit;
        none where no draw fits."""
        def size(candidate: Candidate) -> float:
            return estimator("parameters")(self.build(candidate).graph)["parameters"]

        rng = np.random.default_rng(seed)
        fitting = (c for c in (self.space.sample(rng) for _ in range(DRAWN)) if self.fits(c))
        sizes = [size(c) for c in islice(fitting, KNOWN)]
        return {"size": size, "threshold": float(np.quantile(sizes, SMALLEST))} if sizes else {}

    def folds(self, shape: tuple[int, ...]) -> list[Any]:
        """(training, validation) arrays as a network of this input shape sees them."""
        if shape not in self._inputs:
            if not self._folds:
                small = len(self.task.train.y) <= SMALL and self.supernet is None
                self._folds = list(self.task.folds(2)) if small else [self.split()]
            self._inputs.clear()
            self._inputs[shape] = [
                tuple((self.task.inputs(part.x, shape), part.y) for part in fold) for fold in self._folds
            ]
        return self._inputs[shape]

    def __call__(self, trial: Trial) -> dict[str, float]:
        """Metrics by name: loss and accuracy on validation data, or a training-free score; costs as the device models
        them."""
        from netwright.train import evaluate, train

        build = self.build(trial.candidate)
        graph = build.graph
        metrics = {
            **estimator("macs")(graph),
            **estimator("parameters")(graph),
            **estimator("device-cost")(
                self.deployed(graph), device=self.device, options=self.compiled(build)
            ),
        }
        if self.estimator != TRAINED and self.estimator != SHARED:
            return {**metrics, **estimator(self.estimator)(graph)}
        folds = self.folds(graph.inputs[0].shape)
        if self.supernet is not None:
            (x, _), held = folds[0]
            inherited = self.supernet.inherited
            found = estimator(SHARED)(
                graph, inherited=inherited, evaluate=evaluate, calibration=x[:CALIBRATION], held=held
            )
            return {**metrics, **found}
        whole = self.recipe.changed(build.recipe).changed(self.off)
        recipe = short_recipe(whole, len(folds[0][0][1]), trial.fidelity or 1.0)
        metrics.update(
            estimator("short-training")(
                graph, train=train, evaluate=evaluate, recipe=recipe, folds=folds, seed=self.seed + trial.number
            )
        )
        return metrics


def with_front_end(task: Task, graph: Graph) -> Graph:
    """An int8 network behind its task's front end, where the task has one: then it takes the sensor's readings.

    Raises ValueError for a network whose input the front end does not make.
    """
    front = task.front_end
    return graph if front is None else prefixed(graph, front.graph(graph.inputs[0].type))


def ranges(task: Task, graph: Graph, samples: np.ndarray) -> dict[str, tuple[float, float]]:
    """What `quantise` goes by: observed ranges of a prepared network, and for its input what the front end fixes."""
    found = observe(graph, samples)
    if task.front_end is not None and task.front_end.span is not None:
        found[graph.inputs[0].name] = task.front_end.span
    return found


def quantised_inputs(graph: Graph, x: np.ndarray) -> np.ndarray:
    """Normalised inputs [n, C, ...] as the int8 network takes them: quantised, channels last; whole numbers as they
    are."""
    from netwright.graph.ops.quantise import Quantise

    value = graph.inputs[0]
    if value.type.quant is None:
        return x
    moved = np.moveaxis(x, 1, -1) if x.ndim in (3, 4) else x
    return np.ascontiguousarray(Quantise(value.type.quant).numpy(np.ascontiguousarray(moved)))
