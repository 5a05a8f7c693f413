"""The supernet of a study: drawn from what fits, trained once, kept beside the study."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from netwright.errors import Refused
from netwright.graph import Graph, Store
from netwright.train import SHORT_SAMPLES, Supernet

from .evaluate import Evaluator

POOL = 200  # networks that fit, on which the supernet is trained
DRAWS = 20_000  # to find them
TRAININGS = 10  # short trainings that a supernet takes the samples of, where no time budget says otherwise
WARMUP = 0.05
FILE = "supernet.safetensors"


def supernet(
    evaluator: Evaluator,
    folder: Path,
    *,
    seed: int,
    tell: Callable[[float, str], None],
    deadline: float | None = None,
    resume: bool = False,
) -> Supernet:
    """Train a supernet on networks of the evaluator's space that fit, or load the one that `folder` keeps.

    Raises Refused where too few networks fit to draw a pool.
    """
    path = folder / FILE
    if resume and path.is_file():
        return Supernet(Store.load(path))
    rng = np.random.default_rng([seed, 1])
    pool: list[Graph] = []
    for drawn in range(DRAWS):
        candidate = evaluator.space.sample(rng)
        if evaluator.fits(candidate):
            pool.append(evaluator.build(candidate).graph)
            tell(0.0, f"{len(pool)} of {POOL} networks drawn")
        if len(pool) == POOL or (drawn > DRAWS // 10 and len(pool) < 2):
            break
    if len(pool) < 2:
        name = evaluator.space.name
        raise Refused(f"too few networks of {name!r} fit for a supernet: give more RAM or Flash, or narrow the space")
    made = Supernet.over(pool, _largest(evaluator), seed=seed)
    fit, _ = evaluator.split()
    x = evaluator.task.inputs(fit.x, max((g.inputs[0].shape for g in pool), key=lambda shape: int(np.prod(shape))))
    epochs = min(30.0, TRAININGS * SHORT_SAMPLES / len(x)) if deadline is None else evaluator.recipe.epochs * 3
    recipe = replace(evaluator.recipe, epochs=epochs, warmup=WARMUP)

    def progress(share: float, numbers: dict[str, float]) -> None:
        tell(share, f"{len(pool)} networks share {made.size:,} weights, loss {numbers['loss']:.4f}")

    made.train(pool, x, fit.y, recipe, seed=seed, progress=progress, deadline=deadline)
    made.store.save(path)
    return made


def _largest(evaluator: Evaluator) -> list[Graph]:
    """The network with the last value of every decision, where the task's inputs allow it: it holds all others."""
    try:
        _, candidate = evaluator.space.walk(lambda address, domain: domain.draw(lambda: 1 - 1e-12))
        return [evaluator.build(candidate).graph]
    except ValueError:
        return []
