"""The update scheme that is worth most within a memory budget.

Source: Lin et al. 2022, "On-Device Training Under 256KB Memory", section 2.2 (evolution over the sum of contributions);
memory is not modelled by a formula but planned: `peak` gives the bytes that a scheme really needs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from netwright.errors import UserError
from netwright.graph import Graph, Node

from .backward import BACKWARD
from .contribution import Contributions
from .scheme import Scheme, layers

POPULATION, GENERATIONS, TOURNAMENT = 16, 20, 3
STARTS = 6  # numbers of biases that greedy schemes are made for


@dataclass(frozen=True)
class Found:
    """A scheme, what it is worth, and the RAM it needs in bytes."""

    scheme: Scheme
    value: float
    peak_bytes: int
    planned: int  # how many schemes were planned to find it


def reach(graph: Graph) -> int:
    """How many of the last layers gradients reach. Raises UserError, naming the op in their way, where none."""
    known = layers(graph)
    if not known:
        raise UserError(f"{graph.name} has no int8 layer with parameters to train")
    for layer in reversed(known):
        blocker = _blocker(graph, layer.node)
        if blocker is not None:
            count = len(known) - 1 - layer.index
            if not count:
                raise UserError(_blocked(blocker, "replace it by ops that have one, or end the network before it"))
            return count
    return len(known)


def need_reach(graph: Graph, last: int) -> None:
    """Raise UserError, naming what is in the way, where gradients do not reach all of the last layers."""
    count, known = reach(graph), layers(graph)
    if count < last:
        blocker = _blocker(graph, known[len(known) - 1 - count].node)
        assert blocker is not None
        advice = f"replace it, or update no more than the layers behind it (--last {count})"
        raise UserError(_blocked(blocker, advice))


def _blocked(node: Node, advice: str) -> str:
    return f"{node.name}: gradients cannot pass {node.op.name} on the device; {advice}"


def _blocker(graph: Graph, source: Node) -> Node | None:
    """The first node behind a layer that gradients cannot pass."""
    known = {layer.node for layer in layers(graph)}
    reached = set(source.outputs)
    for node in graph.nodes:
        if node is source or not any(v in reached for v in node.inputs):
            continue
        reached.update(node.outputs)
        if node not in known and type(node.op) not in BACKWARD:
            return node
    return None


def search(
    graph: Graph,
    contributions: Contributions,
    peak: Callable[[Scheme], int],
    budget_bytes: int,
    *,
    last: int | None = None,
    seed: int = 0,
) -> Found:
    """Greedy schemes for every number of biases, improved by evolution (population, mutation of one choice).

    peak(scheme) is the RAM that a scheme needs in bytes; `last` leaves out all but the last layers. Raises UserError
    where even the smallest scheme does not fit.
    """
    hunt = _Hunt(graph, contributions, peak, budget_bytes, last)
    smallest = Scheme(1)
    if not hunt.fits(smallest):
        need = peak(smallest)
        raise UserError(
            f"{budget_bytes:,} B are too few to train any part of {graph.name}: the bias of its last layer alone needs "
            f"{need:,} B; give that much RAM, or a smaller network"
        )
    rng = np.random.default_rng(seed)
    pool = [s for s in hunt.greedy() if s.biases or s.weights] or [smallest]
    pool = sorted(pool, key=hunt.worth)[-POPULATION:]
    for _ in range(GENERATIONS):
        children = []
        for _ in range(POPULATION):
            rivals = [pool[int(i)] for i in rng.integers(0, len(pool), TOURNAMENT)]
            child = hunt.mutated(max(rivals, key=hunt.worth), rng)
            if (child.biases or child.weights) and hunt.fits(child):
                children.append(child)
        pool = sorted({*pool, *children}, key=lambda s: (hunt.worth(s), s.biases, s.weights))[-POPULATION:]
    best = hunt.filled(pool[-1])
    return Found(best, hunt.worth(best), hunt.need(best), len(hunt.known))


class _Hunt:
    """The space of schemes, with what was planned so far."""

    def __init__(
        self,
        graph: Graph,
        contributions: Contributions,
        peak: Callable[[Scheme], int],
        budget: int,
        last: int | None,
    ) -> None:
        known = layers(graph)
        self.first = len(known) - (last if last is not None else len(known))
        self.most_biases = len(known) - self.first
        self.contributions, self.peak, self.budget = contributions, peak, budget
        self.choices = [p for p in contributions.weights if p[0] >= self.first]
        self.cost = {p: known[p[0]].weights.type.size // known[p[0]].weights.shape[-1] * known[p[0]].channels(p[1])
                     for p in self.choices}  # fmt: skip
        self.by_density = sorted(self.choices, key=lambda p: -contributions.weights[p] / self.cost[p])
        self.known: dict[Scheme, int] = {}
        self.forward = self.need(Scheme(1)) - 4 * known[-1].weights.shape[0]  # what no update saves

    def need(self, scheme: Scheme) -> int:
        if scheme not in self.known:
            self.known[scheme] = self.peak(scheme)
        return self.known[scheme]

    def fits(self, scheme: Scheme) -> bool:
        return self._weights(scheme) + self.forward <= self.budget and self.need(scheme) <= self.budget

    def _weights(self, scheme: Scheme) -> float:
        """Bytes of the updated weights alone: a quick reason for what cannot fit."""
        return sum(self.cost[pair] for pair in scheme.weights)

    def worth(self, scheme: Scheme) -> float:
        return self.contributions.value(scheme)

    def greedy(self) -> list[Scheme]:
        """For some numbers of biases, from none to all: filled up with the weights worth most a byte."""
        counts = sorted({round(i) for i in np.linspace(0, self.most_biases, STARTS)})
        return [self.filled(Scheme(k)) for k in counts if k == 0 or self.fits(Scheme(k))]

    def filled(self, scheme: Scheme) -> Scheme:
        """The scheme with all the choices that gain something and still fit, the densest first."""
        for index, ratio in self.by_density:
            before = dict(scheme.weights)
            gain = self.contributions.weights[index, ratio]
            if gain <= (self.contributions.weights[index, before[index]] if index in before else 0.0):
                continue
            larger = replace(scheme, weights=tuple(sorted({**before, index: ratio}.items())))
            if self.fits(larger):
                scheme = larger
        return scheme

    def mutated(self, scheme: Scheme, rng: np.random.Generator) -> Scheme:
        """One or two choices drawn anew: the number of biases, a layer in, out, or at another ratio."""
        weights, biases = dict(scheme.weights), scheme.biases
        for _ in range(1 + int(rng.integers(2))):
            kind = int(rng.integers(3))
            if kind == 0:
                biases = int(np.clip(biases + rng.integers(-4, 5), 0, self.most_biases))
            elif kind == 1 and weights:
                weights.pop(list(weights)[int(rng.integers(len(weights)))])
            elif self.choices:
                index, ratio = self.choices[int(rng.integers(len(self.choices)))]
                weights[index] = ratio
        return Scheme(biases, tuple(sorted(weights.items())))
