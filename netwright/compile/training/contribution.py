"""What updating a part of a network is worth: measured by training it, or guessed from gradients.

Source: Lin et al. 2022, "On-Device Training Under 256KB Memory", section 2.2 (contribution analysis).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from netwright.graph import Graph

from .scheme import Scheme, layers
from .step import Residue, build

Progress = Callable[[float], None]


@dataclass(frozen=True)
class Contributions:
    """Gains that are taken to add up: `biases[k]` of the last k layers' biases, `weights[layer, ratio]` on top.

    `measured`: gains of accuracy; else falls of the loss to first order, by unit of rate.
    """

    biases: tuple[float, ...]
    weights: dict[tuple[int, float], float]
    measured: bool

    def value(self, scheme: Scheme) -> float:
        """The sum of a scheme's gains."""
        return self.biases[scheme.biases] + sum(self.weights[pair] for pair in scheme.weights)


def from_gradients(graph: Graph, x: np.ndarray, labels: np.ndarray, last: int | None = None) -> Contributions:
    """The cheap guess: squares of the mean gradient over samples, in the float network's units.

    That is how fast the loss falls at first when a part is updated. x int8 [n, ...], labels int32 [n]; `last` leaves
    out all but the last layers. Costs one pass a sample.
    """
    known = layers(graph)
    first = len(known) - (last if last is not None else len(known))
    everything = Scheme(len(known) - first, tuple((layer.index, 1.0) for layer in known[first:]))
    runner = build(graph, everything, rate=0.0, residue="none", schedule="end")["train_step"].runner()
    names = {layer.index: (f"d_{layer.name}.weight", f"d_{layer.name}.bias") for layer in known[first:]}
    sums: dict[str, np.ndarray] = {}
    for sample, label in zip(x, labels, strict=True):
        found = {v.name: a for v, a in runner.trace(sample[None], np.array([label], np.int32)).items()}
        for name in (n for pair in names.values() for n in pair):
            sums[name] = sums.get(name, 0.0) + found[name].astype(np.float64) / len(x)
    gains = np.zeros(len(known))
    weights: dict[tuple[int, float], float] = {}
    for layer in known[first:]:
        scale, w = (graph.constant(layer.node.inputs[i]) for i in (2, 1))
        assert scale is not None and w is not None
        alive = (w != 0).reshape(len(w), -1).any(1)
        unit = scale.astype(np.float64)[alive]
        weight, bias = (sums[name][alive] for name in names[layer.index])
        quant = layer.node.op.x  # type: ignore[attr-defined]
        gains[layer.index] = float(np.square(bias / (unit * quant.scale)).sum())
        for ratio in layer.ratios:
            part = weight[..., : layer.channels(ratio)] / unit[:, None, None, None]
            weights[layer.index, ratio] = float(np.square(part).sum())
    return Contributions((0.0, *np.cumsum(gains[::-1]).tolist()), weights, False)


def by_training(
    graph: Graph,
    train: tuple[np.ndarray, np.ndarray],
    held: tuple[np.ndarray, np.ndarray],
    *,
    rate: float,
    biases: int = 1,
    choices: Iterable[tuple[int, float]] | None = None,
    residue: Residue = "int16",
    progress: Progress | None = None,
) -> Contributions:
    """The measured gains: accuracy on `held` after one pass over `train`, for each choice by itself.

    Biases of the last k layers for every k; the weights of each (layer, ratio) of `choices` (None: all) with the last
    `biases` biases, less what those gain alone. Arrays are x int8 [n, ...] and labels int32 [n]. Costs as many passes
    as there are choices and layers; do it once for a model, over several data sets.
    """
    known = layers(graph)
    pairs = list(choices) if choices is not None else [(la.index, r) for la in known for r in la.ratios]
    runs = [Scheme(k) for k in range(1, len(known) + 1)] + [Scheme(biases, (pair,)) for pair in pairs]
    start = accuracy(graph, *held)
    gains = []
    for number, scheme in enumerate(runs):
        gains.append(_after(graph, scheme, train, held, rate, residue) - start)
        if progress is not None:
            progress((number + 1) / len(runs))
    of_biases = (0.0, *gains[: len(known)])
    weights = {pair: gain - of_biases[biases] for pair, gain in zip(pairs, gains[len(known) :])}
    return Contributions(of_biases, weights, True)


def _after(
    graph: Graph,
    scheme: Scheme,
    train: tuple[np.ndarray, np.ndarray],
    held: tuple[np.ndarray, np.ndarray],
    rate: float,
    residue: Residue,
) -> float:
    entries = build(graph, scheme, rate=rate, residue=residue)
    runner = entries["train_step"].runner()
    for sample, label in zip(*train, strict=True):
        runner.step(sample[None], np.array([label], np.int32))
    return accuracy(entries["infer"], *held, states=runner.states)


def accuracy(
    infer: Graph, x: np.ndarray, labels: np.ndarray, states: dict[str, np.ndarray] | None = None
) -> float:
    """Share of samples x int8 [n, ...] whose largest logit is at their label, by the NumPy reference."""
    runner = infer.runner()
    if states is not None:
        runner.states = {name: states[name] for name in runner.states}
    right = [int(runner.step(sample[None])[0].reshape(-1).argmax()) == label for sample, label in zip(x, labels)]
    return float(np.mean(right)) if right else 0.0
