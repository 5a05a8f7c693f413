"""From a Graph to weights.

    recipe = default_recipe(kind="image", shape=(1, 1, 8, 8), samples=898)
    trained = train(graph, x, y, recipe, seed=0)
    trained.graph            # the same structure, looking into a store with weights
    evaluate(trained.graph, x, y)   # {"accuracy": ..., "loss": ...}

x is what the network sees, float32 [n, ...]; y is int64 [n]. CPU or CUDA, whichever is there; deterministic on the CPU.
"""

from __future__ import annotations

from .loop import Trained, evaluate, predict, train
from .recipe import SHORT_SAMPLES, Recipe, default_recipe, short_recipe
from .supernet import Supernet

__all__ = [
    "SHORT_SAMPLES", "Recipe", "Supernet", "Trained", "default_recipe", "evaluate", "predict", "short_recipe", "train",
]
