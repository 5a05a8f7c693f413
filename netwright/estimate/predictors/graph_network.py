"""A small graph network on `netwright.graph.codes.Tables` (Dudziak et al. 2020, "BRP-NAS", has one as a predictor)."""

from __future__ import annotations

from typing import Any

import numpy as np


class GraphNetwork:
    """Layers in which each node adds what it reads and what reads it, each by its own matrix; then the mean over nodes
    and two dense layers. `steps` of Adam on all rows at once; values are standardised."""

    def __init__(self, seed: int = 0, layers: int = 3, width: int = 48, steps: int = 300, rate: float = 3e-3) -> None:
        self.seed, self.layers, self.width, self.steps, self.rate = seed, layers, width, steps, rate
        self._net: Any = None
        self._scale = (0.0, 1.0)
        self._shape: tuple[int, ...] = ()

    def fit(self, x: np.ndarray, y: np.ndarray) -> None:
        """Learn from n graphs [n, N, F + N]; ValueError for rows of another shape."""
        import torch

        if x.ndim != 3 or x.shape[2] <= x.shape[1]:
            raise ValueError(f"a graph network takes tables of nodes [n, N, F + N], not {list(x.shape)}")
        self._shape, self._scale = x.shape[1:], (float(y.mean()), float(y.std()) or 1.0)
        wanted = torch.tensor((y - self._scale[0]) / self._scale[1], dtype=torch.float32)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            self._net = _network(x.shape[2] - x.shape[1], self.layers, self.width)
        given = torch.tensor(x, dtype=torch.float32)
        optimiser = torch.optim.AdamW(self._net.parameters(), lr=self.rate, weight_decay=1e-3)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, self.rate, total_steps=self.steps)
        for _ in range(self.steps):
            optimiser.zero_grad()
            torch.nn.functional.mse_loss(self._net(given), wanted).backward()
            optimiser.step()
            schedule.step()

    def predict(self, x: np.ndarray) -> np.ndarray:
        """[n] values for n graphs; ValueError before `fit`, and for tables of another shape than those."""
        import torch

        if self._net is None:
            raise ValueError("fit comes before predict")
        if x.shape[1:] != self._shape:
            raise ValueError(f"learned from tables {self._shape}, not {x.shape[1:]}: make both by one Tables")
        with torch.no_grad():
            parts = [self._net(torch.tensor(part, dtype=torch.float32))
                     for part in np.array_split(x, max(len(x) // 512, 1))]
        found: np.ndarray = torch.cat(parts).double().numpy()
        return found * self._scale[1] + self._scale[0]


def _network(features: int, layers: int, width: int) -> Any:
    import torch
    from torch import nn

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Linear(features, width)
            self.own, self.reads, self.read_by = (
                nn.ModuleList(nn.Linear(width, width, bias=not part) for _ in range(layers)) for part in range(3)
            )
            self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(layers))
            self.last = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            nodes, edges = x[..., :features], x[..., features:]
            there = nodes[..., :-2].amax(-1, keepdim=True)
            h = self.first(nodes) * there
            for own, reads, read_by, norm in zip(self.own, self.reads, self.read_by, self.norms, strict=True):
                h = h + torch.relu(norm(own(h) + edges @ reads(h) + edges.mT @ read_by(h))) * there
            mean: torch.Tensor = (h * there).sum(1) / there.sum(1)
            return self.last(mean).squeeze(-1)

    return Network()


predictor = GraphNetwork
