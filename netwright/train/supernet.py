"""Weight sharing: one store of full-size tensors, into which the graphs of many candidates look.

    supernet = Supernet.over(pool, seed=0)                 # tensors as large as the largest use of each name
    supernet.train(pool, x, y, recipe)                     # shrinks from the largest network of the pool to all of it
    graph = supernet.inherited(graph, x[:1000])            # a candidate's own graph with the weights it inherits

A tensor that a candidate needs smaller is cut: its first channels, the centre of its kernel. Training begins with the
largest network alone; then more and more of the pool, from large to small, takes part, each taught by the largest.

Sources: Cai et al. 2020, "Once-for-All", section 3.3 (progressive shrinking, distillation); Lin et al. 2020, "MCUNet",
section 3.1; Yu and Huang 2019, "Universally Slimmable Networks", section 3 (the largest network in every step).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from netwright.graph import Graph, Node, Param, Store
from netwright.graph.ops.norm import BatchNorm
from netwright.graph.store import CentreCrop
from netwright.graph.torch import to_torch
from netwright.graph.torch.module import evaluate, from_numpy

from .augment import augmented
from .loop import autocast, channels_last, given, optimiser, scheduled
from .recipe import Recipe

LARGEST_ALONE = 0.2  # of the training, before others take part
ALL_FROM = 0.6  # of the training on, every network of the pool is drawn alike
TEACHING = 0.5  # weight of the largest network's answers beside the labels'


class Supernet:
    """Shared tensors, by name, each as large as any network needs it."""

    def __init__(self, store: Store) -> None:
        self.store = store

    @classmethod
    def over(cls, pool: Sequence[Graph], largest: Sequence[Graph] = (), *, seed: int = 0) -> Supernet:
        """Fresh tensors for the networks of `pool` and `largest`, graphs of one space with one number of outputs."""
        full: dict[str, Param] = {}
        for param in (param for graph in (*pool, *largest) for param in graph.params):
            known = full.setdefault(param.tensor, param)
            shape = tuple(max(sizes) for sizes in zip(known.stored_type.shape, param.value.shape, strict=True))
            full[param.tensor] = replace(known, full=known.value.type.with_shape(shape))
        return cls(Store().initialise(Graph("supernet", (), (), (), tuple(full.values())), seed))

    @property
    def size(self) -> int:
        """Numbers in all shared tensors."""
        return sum(self.store[name].size for name in self.store)

    def covers(self, graph: Graph) -> bool:
        """Whether every tensor of the graph can be cut from the shared ones."""
        return all(
            param.tensor in self.store
            and all(n <= m for n, m in zip(param.value.shape, self.store[param.tensor].shape, strict=True))
            for param in graph.params
        )

    def view(self, graph: Graph) -> Graph:
        """The graph, looking into the shared tensors. Raises ValueError where they do not cover it."""
        if not self.covers(graph):
            raise ValueError(f"{graph.name} has tensors that the supernet has not, or not so large")
        params = []
        for param in graph.params:
            full = param.value.type.with_shape(self.store[param.tensor].shape)
            views = () if full == param.value.type else (CentreCrop(),)
            params.append(replace(param, views=views, full=full if views else None))
        return replace(graph, params=tuple(params), store=self.store)

    def train(
        self,
        pool: Sequence[Graph],
        x: np.ndarray,
        y: np.ndarray,
        recipe: Recipe,
        *,
        seed: int = 0,
        progress: Callable[[float, dict[str, float]], None] | None = None,
        deadline: float | None = None,
    ) -> None:
        """Train the shared tensors on x float32 [n, ...] at the largest size that any graph takes, y int64 [n].

        A step takes one batch through the largest network and through one drawn from the pool; `recipe.epochs` counts
        the batches. `deadline` as in `train`. Raises ValueError for an empty pool or one that is not covered,
        FloatingPointError when the loss is no longer finite.
        """
        started = time.monotonic()
        if not pool:
            raise ValueError("a supernet is trained on at least one network")
        trainable = {param.tensor for graph in pool for param in graph.params if param.trainable}
        tensors: dict[str, torch.Tensor] = {}
        for name in self.store:
            tensors[name] = channels_last(from_numpy(self.store[name])).requires_grad_(name in trainable)
        steps = optimiser([tensors[name] for name in sorted(trainable)], recipe)
        rng, draw = torch.Generator().manual_seed(seed), np.random.default_rng(seed)
        inputs, labels = given(pool[0], x), torch.from_numpy(y)
        views = [self.view(graph) for graph in sorted(pool, key=lambda g: -g.macs)]
        low_precision = autocast(recipe, inputs.device)
        batch = min(recipe.batch, len(x))
        total = max(1, round(recipe.epochs * max(1, len(x) // batch)))
        running, order = math.nan, torch.empty(0, dtype=torch.long)

        def loss_of(graph: Graph, samples: torch.Tensor, rows: torch.Tensor, teacher: torch.Tensor | None) -> Any:
            with torch.autocast("cpu", torch.bfloat16, enabled=low_precision):
                logits = _forward(graph, tensors, samples, training=True).float()
            loss = functional.cross_entropy(logits, labels[rows], label_smoothing=recipe.smoothing)
            if teacher is not None:
                taught = functional.cross_entropy(logits, teacher)
                loss = (1 - TEACHING) * loss + TEACHING * taught
            return loss, logits.detach().softmax(1)

        for step in range(total):
            share = step / total
            if deadline is not None:
                spent, left = time.monotonic() - started, deadline - started
                share = max(share, spent / left if left > 0 else 1.0)
            if share >= 1:
                break
            for group in steps.param_groups:
                group["lr"] = recipe.rate * scheduled(recipe, share)
            if len(order) < batch:
                order = torch.randperm(len(x), generator=rng)
            rows, order = order[:batch], order[batch:]
            samples = channels_last(augmented(inputs[rows], recipe.augment, rng))
            steps.zero_grad(set_to_none=True)
            loss, teacher = loss_of(views[0], samples, rows, None)
            loss.backward()
            open_ = min(1.0, (share - LARGEST_ALONE) / (ALL_FROM - LARGEST_ALONE))
            if open_ > 0 and len(views) > 1:
                chosen = views[1 + int(draw.integers(max(1, math.ceil(open_ * (len(views) - 1)))))]
                student, _ = loss_of(chosen, samples, rows, teacher)
                student.backward()
            steps.step()
            running = float(loss.detach()) if math.isnan(running) else running * 0.9 + float(loss.detach()) * 0.1
            if not math.isfinite(running):
                raise FloatingPointError(f"the supernet's loss became {running} after {step} steps; lower the rate")
            if progress is not None and step % 10 == 0:
                progress(share, {"loss": running})
        self.store = Store({name: tensor.detach().numpy().copy() for name, tensor in tensors.items()})

    @torch.no_grad()
    def inherited(self, graph: Graph, x: np.ndarray) -> Graph:
        """The graph with its own copy of the weights it inherits, and batch norms measured on x float32 [n, ...].

        The statistics of the shared batch norms are a mixture of all networks' and fit none of them (Yu and Huang
        2019, section 3.3).
        """
        view = self.view(graph)
        own = graph.with_store(Store({p.tensor: np.array(view.store.read(p)) for p in view.params}))
        module = to_torch(replace(own, nodes=tuple(_measuring(node) for node in own.nodes))).train()
        module(channels_last(given(graph, x)))
        return graph.with_store(module.to_store())


def _measuring(node: Node) -> Node:
    """A batch norm that takes one batch's statistics as they are."""
    if not isinstance(node.op, BatchNorm):
        return node
    return Node(replace(node.op, momentum=1.0), node.inputs, node.outputs)


def _forward(graph: Graph, tensors: Mapping[str, torch.Tensor], x: torch.Tensor, training: bool) -> torch.Tensor:
    """The logits of a graph whose parameters are cut from shared tensors; x is brought to the graph's own size."""
    size = graph.inputs[0].shape[2:]
    if tuple(x.shape[2:]) != size:
        if x.dim() != 4:
            raise ValueError(f"{graph.name}: inputs of {tuple(x.shape[1:])} cannot be brought to {size}")
        x = functional.interpolate(x, size=size, mode="bilinear", antialias=True)
    values: dict[Any, Any] = {graph.inputs[0]: x}
    for param in graph.params:
        values[param.value] = param.cut(tensors[param.tensor], tensors.__getitem__)
    evaluate(graph, values, training)
    logits: torch.Tensor = values[graph.outputs[0]]
    return logits
