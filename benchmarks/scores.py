"""Training-free scores on NAS-Bench-201: python -m benchmarks.scores {correlation,speed} [--cells N].

correlation  each score of random scored cells, full networks (16 channels, 5 cells a stage), one batch of 64 CIFAR-10
             training images: Spearman with the table's own column, and with test accuracy beside the recorded score's;
             then of reduced networks (1 cell a stage, 16 images of 16x16)
speed        processor time on one thread beside plain torch code, interleaved cell by cell; medians of ratios. Plain:
             an nn.Module with every edge of the cell, one score at a time, on a batch that lies as loaders make it, and
             with batch and network channels last (ours takes the first, and turns it itself). Ours builds the graph,
             drops edges that cannot be seen and runs it. Both include making the network. 3x3 average pooling, forward
             and backward, beside torch's. Then all scores of the loss's gradient together over the dearest of them
             alone, and full networks over reduced ones
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import nn

from benchmarks.recorded import cifar10, root
from netwright import spaces
from netwright.estimate.tables import get
from netwright.estimate.tables.nb201 import NB201
from netwright.estimate.training_free import LOSS, NAMES, compute
from netwright.graph import Graph, Type
from netwright.graph.ops.pool import AveragePool
from netwright.spaces.zoo.nb201 import INTO

MEAN, DEVIATION = np.array([0.4914, 0.4822, 0.4465]), np.array([0.2470, 0.2435, 0.2616])
FULL = spaces.get("nb201", channels=16, cells=5)
REDUCED = spaces.get("nb201", channels=16, cells=1)


def batch(data: str | None) -> tuple[torch.Tensor, torch.Tensor]:
    """64 normalised images [64, 3, 32, 32] and their classes."""
    images, labels = cifar10(root(data), "train", 64)
    x = np.ascontiguousarray(((images / 255 - MEAN) / DEVIATION).transpose(0, 3, 1, 2))
    return torch.tensor(x, dtype=torch.float32), torch.tensor(labels, dtype=torch.int64)


def small(x: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The first 16 images, 16x16."""
    return nn.functional.avg_pool2d(x[:16], 2), labels[:16]


def built(space: spaces.Space, cell: Any, side: int) -> Graph:
    """A cell's network for square images."""
    assert space.builder is not None
    return space.builder(cell, Type((1, 3, side, side)), Type((1, 10))).graph


def correlation(table: NB201, rows: np.ndarray, x: torch.Tensor, labels: torch.Tensor) -> list[dict[str, Any]]:
    """One row a score."""
    accuracy = table.values("test")[rows]
    ours: dict[str, list[tuple[float, float]]] = {name: [] for name in NAMES}
    fewer = small(x, labels)
    for row in rows:
        cell = table.candidate(row)
        full = compute(built(FULL, cell, 32), x, labels, NAMES)
        reduced = compute(built(REDUCED, cell, 16), *fewer, NAMES)
        for name in NAMES:
            ours[name].append((full[name], reduced[name]))
    found = []
    for name in NAMES:
        full_values, reduced_values = np.array(ours[name]).T
        recorded = table.values(name)[rows]
        known = np.isfinite(full_values) & np.isfinite(reduced_values)
        found.append({
            "score": name, "cells": int(known.sum()), "of": len(rows),
            "with table": _rank(full_values[known], recorded[known]),
            "with accuracy": _rank(full_values[known], accuracy[known]),
            "recorded's with accuracy": _rank(recorded[known], accuracy[known]),
            "reduced with accuracy": _rank(reduced_values[known], accuracy[known]),
        })
    return found


def speed(table: NB201, rows: np.ndarray, x: torch.Tensor, labels: torch.Tensor) -> dict[str, float]:
    """Medians over cells of ratios of seconds; above 1 means ours is faster, or as named."""
    ratios: dict[str, list[float]] = {"avg_pool2d / ours, 16 channels of 32x32": pooling(len(x))}
    fewer = small(x, labels)
    for turn, row in enumerate(rows):
        cell = table.candidate(row)
        if not turn:  # what is made once a process is made here
            _ours(FULL, cell, x, labels, (*LOSS, "jacov", "nwot"))
            plain_snip(Network(cell), x, labels)
        alone: dict[str, float] = {}
        for name in ("nwot", "jacov", *LOSS):
            theirs = _theirs(PLAIN[name], cell, x, labels) if name in PLAIN and turn % 2 else 0.0
            alone[name] = _ours(FULL, cell, x, labels, (name,))
            if name in PLAIN:
                theirs = theirs or _theirs(PLAIN[name], cell, x, labels)
                last = _theirs(PLAIN[name], cell, x, labels, torch.channels_last)
                ratios.setdefault(f"plain / ours, {name}", []).append(theirs / alone[name])
                ratios.setdefault(f"plain channels last / ours, {name}", []).append(last / alone[name])
        together = _ours(FULL, cell, x, labels, LOSS)
        every = _ours(FULL, cell, x, labels, (*LOSS, "jacov"))
        dearest = max(alone[name] for name in LOSS)
        ratios.setdefault("all of the loss's gradient / dearest alone", []).append(together / dearest)
        ratios.setdefault("those and jacov / dearest alone", []).append(every / max(dearest, alone["jacov"]))
        for what, names, full in (("nwot", ("nwot",), alone["nwot"]), ("snip", ("snip",), alone["snip"]),
                                  ("all gradients", (*LOSS, "jacov"), every)):
            less = _ours(REDUCED, cell, *fewer, names)
            ratios.setdefault(f"full / reduced, {what}", []).append(full / less)
    return {name: round(float(np.median(values)), 3) for name, values in ratios.items()}


def pooling(images: int) -> list[float]:
    """Ratios of seconds of torch's average pooling to ours, forward and backward, batch as loaders make it."""
    x = torch.randn(images, 16, 32, 32, requires_grad=True)
    ways = (lambda: nn.functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False),
            lambda: AveragePool((3, 3), (1, 1), (1,) * 4).torch(x))
    found = []
    for _ in range(20):
        seconds = []
        for way in ways:
            began = time.process_time()
            torch.autograd.grad(way().sum(), x)
            seconds.append(time.process_time() - began)
        found.append(seconds[0] / seconds[1])
    return found


class Network(nn.Module):
    """NAS-Bench-201 as one would write it: every edge of every cell is a module."""

    def __init__(self, cell: Any, channels: int = 16, cells: int = 5) -> None:
        super().__init__()
        body: list[nn.Module] = [nn.Conv2d(3, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels)]
        for stage in range(3):
            width = channels << stage
            body += [Residual(width // 2, width)] if stage else []
            body += [Cell(cell, width) for _ in range(cells)]
        body += [nn.BatchNorm2d(width), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 10)]
        self.body = nn.Sequential(*body)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(x)


class Cell(nn.Module):
    """Three nodes, each the sum of its edges."""

    def __init__(self, cell: Any, width: int) -> None:
        super().__init__()
        self.edges = nn.ModuleList(nn.ModuleList(_edge(cell[e], width) for _, e in INTO[n]) for n in (1, 2, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        nodes = [x]
        for edges in self.edges:
            nodes.append(sum(edge(node) for edge, node in zip(edges, nodes, strict=True)))
        return nodes[-1]


class Zero(nn.Module):
    """Nothing."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * 0


class Residual(nn.Module):
    """The block of stride 2 between stages."""

    def __init__(self, before: int, width: int) -> None:
        super().__init__()
        self.main = nn.Sequential(_conv(before, width, 3, 2), _conv(width, width, 3))
        self.shortcut = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(before, width, 1, bias=False))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.main(x) + self.shortcut(x)


def _conv(before: int, width: int, kernel: int, stride: int = 1) -> nn.Module:
    layer = nn.Conv2d(before, width, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(nn.ReLU(), layer, nn.BatchNorm2d(width))


def _edge(op: str, width: int) -> nn.Module:
    if op == "none":
        return Zero()
    if op == "skip_connect":
        return nn.Identity()
    if op == "avg_pool_3x3":
        return nn.AvgPool2d(3, 1, 1, count_include_pad=False)
    return _conv(width, width, int(op[-1]))


def plain_nwot(net: nn.Module, x: torch.Tensor, labels: torch.Tensor) -> float:
    """Both products of the codes at each ReLU, summed."""
    kernel = np.zeros((len(x), len(x)))

    def hook(module: nn.Module, given: tuple[torch.Tensor, ...], result: torch.Tensor) -> None:
        codes = (given[0].flatten(1) > 0).float()
        kernel[:] += (codes @ codes.T + (1 - codes) @ (1 - codes).T).numpy()

    for module in net.modules():
        if isinstance(module, nn.ReLU):
            module.register_forward_hook(hook)
    with torch.no_grad():
        net(x)
    return float(np.linalg.slogdet(kernel)[1])


def plain_snip(net: nn.Module, x: torch.Tensor, labels: torch.Tensor) -> float:
    """Sum of |w g|."""
    nn.functional.cross_entropy(net(x), labels).backward()
    return sum(float((m.weight.detach() * m.weight.grad).abs().sum()) for m in _layers(net))


def plain_grad_norm(net: nn.Module, x: torch.Tensor, labels: torch.Tensor) -> float:
    """Sum of norms of gradients."""
    nn.functional.cross_entropy(net(x), labels).backward()
    return sum(float(m.weight.grad.norm()) for m in _layers(net))


def _layers(net: nn.Module) -> list[Any]:
    return [m for m in net.modules() if isinstance(m, nn.Conv2d | nn.Linear) and m.weight.grad is not None]


PLAIN: dict[str, Callable[[nn.Module, torch.Tensor, torch.Tensor], float]] = {
    "nwot": plain_nwot, "snip": plain_snip, "grad_norm": plain_grad_norm,
}


def _ours(space: spaces.Space, cell: Any, x: torch.Tensor, labels: torch.Tensor, names: tuple[str, ...]) -> float:
    """Processor seconds to build and score."""
    began = time.process_time()
    compute(built(space, cell, x.shape[-1]), x, labels, names)
    return time.process_time() - began


def _theirs(score: Callable[..., float], cell: Any, x: torch.Tensor, labels: torch.Tensor,
            form: torch.memory_format = torch.contiguous_format) -> float:
    """Processor seconds to build and score, plain."""
    began = time.process_time()
    score(Network(cell).to(memory_format=form), x.contiguous(memory_format=form), labels)
    return time.process_time() - began


def _rank(a: np.ndarray, b: np.ndarray) -> float:
    return round(float(spearmanr(a, b).statistic), 3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("correlation", "speed"))
    parser.add_argument("--cells", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0, help="draws the cells")
    parser.add_argument("--data", help="folder of recorded data")
    parser.add_argument("--json", action="store_true", help="print JSON only")
    given = parser.parse_args()
    torch.set_num_threads(1)
    table = get("nb201", str(root(given.data)))
    assert isinstance(table, NB201)
    rows = np.random.default_rng(given.seed).choice(table.scored, given.cells, replace=False)
    x, labels = batch(given.data)
    found = (correlation if given.what == "correlation" else speed)(table, rows, x, labels)
    if given.json:
        print(json.dumps(found, indent=1))
    else:
        for line in found if isinstance(found, list) else [found]:
            print("\n".join(f"{key}: {value}" for key, value in line.items()) if line is found else
                  ", ".join(f"{key} {value}" for key, value in line.items()))


if __name__ == "__main__":
    main()
