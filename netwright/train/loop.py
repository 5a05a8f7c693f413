"""The training loop."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch.nn import functional

from netwright.graph import Graph
from netwright.graph.torch import TorchGraph, to_torch

from .augment import augmented
from .recipe import Recipe

Progress = Callable[[float, dict[str, float]], None]


@dataclass(frozen=True)
class Trained:
    """A graph with weights, and how it got them: one row an epoch."""

    graph: Graph
    history: list[dict[str, float]] = field(default_factory=list)
    seconds: float = 0.0


def best_device() -> torch.device:
    """CUDA where there is some, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def autocast(recipe: Recipe, device: torch.device) -> bool:
    """Whether to compute in bfloat16: where it is faster, which on processors it is not (1.0 to 4 times slower than
    float32 with channels last, on networks of all spaces)."""
    if recipe.precision != "auto":
        return recipe.precision == "bfloat16"
    return device.type == "cuda" and torch.cuda.is_bf16_supported()


def channels_last(tensor: torch.Tensor) -> torch.Tensor:
    """Images and kernels in the layout that convolutions, depthwise ones above all, are fastest in; others as is."""
    return tensor.contiguous(memory_format=torch.channels_last) if tensor.dim() == 4 else tensor


def _placed(module: TorchGraph, device: torch.device) -> TorchGraph:
    return module.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def train(
    graph: Graph,
    x: np.ndarray,
    y: np.ndarray,
    recipe: Recipe,
    *,
    seed: int = 0,
    validation: tuple[np.ndarray, np.ndarray] | None = None,
    progress: Progress | None = None,
    device: torch.device | None = None,
    deadline: float | None = None,
) -> Trained:
    """Train on x [n, ...] of the graph's own type (float32, or int32 numbers of words), y int64 [n] with cross-entropy;
    returns the averaged weights.

    Tensors that the store lacks start from `seed`. With `validation` each epoch is judged, and `recipe.patience` may
    stop early on the best weights. `deadline` (time.monotonic()) brings the schedule down early: for time budgets only,
    as the result then depends on the machine's speed. Raises FloatingPointError when the loss is no longer finite.
    """
    started = time.monotonic()
    device = device or best_device()
    module = _placed(to_torch(graph, seed), device)
    rng = torch.Generator().manual_seed(seed)
    inputs, labels = given(graph, x).to(device), torch.from_numpy(y).to(device)
    batch = min(recipe.batch, len(x))
    steps_per_epoch = max(1, len(x) // batch)
    total = max(1, round(recipe.epochs * steps_per_epoch))
    steps = optimiser(module.parameters(), recipe)
    average = _Average(module, recipe.ema) if recipe.ema else None
    low_precision = autocast(recipe, device)
    history: list[dict[str, float]] = []
    best: tuple[float, TorchGraph] | None = None
    running, step, stale = 0.0, 0, 0
    module.train()
    while step < total:
        order = torch.randperm(len(x), generator=rng).to(device)
        for start in range(0, steps_per_epoch * batch, batch):
            if step >= total:
                break
            share = step / total
            if deadline is not None:
                spent, left = time.monotonic() - started, deadline - started
                share = max(share, spent / left if left > 0 else 1.0)
            if share >= 1:
                total = step
                break
            for group in steps.param_groups:
                group["lr"] = recipe.rate * scheduled(recipe, share)
            rows = order[start : start + batch]
            samples = channels_last(augmented(inputs[rows], recipe.augment, rng))
            with torch.autocast(device.type, torch.bfloat16, enabled=low_precision):
                logits = module(samples)
            loss = functional.cross_entropy(logits.float(), labels[rows], label_smoothing=recipe.smoothing)
            steps.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            steps.step()
            if average is not None:
                average.update()
            step += 1
            running = running * 0.9 + float(loss.detach()) * 0.1 if step > 1 else float(loss.detach())
            if progress is not None and step % 10 == 0:
                progress(max(step / total, share), {"loss": running})
        if not math.isfinite(running):
            raise FloatingPointError(f"the training loss became {running} after {step} steps; lower the learning rate")
        row = {"epoch": step / steps_per_epoch, "loss": running}
        if validation is not None:
            judged = average.module if average is not None else module
            row.update({f"validation_{k}": v for k, v in _judge(judged, *validation, device).items()})
            if best is None or row["validation_loss"] < best[0]:
                best, stale = (row["validation_loss"], _copy(judged)), 0
            else:
                stale += 1
            module.train()
        history.append(row)
        if recipe.patience and stale >= recipe.patience:
            break
    final = average.module if average is not None else module
    if recipe.patience and best is not None:
        final = best[1]
    if progress is not None:
        progress(1.0, {"loss": running})
    return Trained(graph.with_store(final.to_store()), history, time.monotonic() - started)


def scheduled(recipe: Recipe, share: float) -> float:
    """The factor of the rate when `share` (0..1) of the training is done."""
    if share < recipe.warmup:
        return max(share, 1e-3) / recipe.warmup
    left = (share - recipe.warmup) / max(1e-9, 1 - recipe.warmup)
    if recipe.schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * left))
    return 1 - left if recipe.schedule == "linear" else 1.0


def optimiser(parameters: Iterable[torch.Tensor], recipe: Recipe) -> torch.optim.Optimizer:
    """The recipe's, with weight decay on matrices and kernels only."""
    every = list(parameters)
    decayed = [p for p in every if p.dim() > 1]
    others = [p for p in every if p.dim() <= 1]
    groups = [{"params": decayed, "weight_decay": recipe.decay}, {"params": others, "weight_decay": 0.0}]
    groups = [g for g in groups if g["params"]]
    if recipe.optimiser == "sgd":
        return torch.optim.SGD(groups, lr=recipe.rate, momentum=0.9, nesterov=True)
    return torch.optim.AdamW(groups, lr=recipe.rate, betas=(0.9, recipe.beta2), foreach=True)


def _copy(module: TorchGraph) -> TorchGraph:
    copy = to_torch(module.graph)
    copy.load_state_dict(module.state_dict())
    return _placed(copy, next(module.parameters()).device)


class _Average:
    """Exponential moving average of parameters and buffers, decay warmed up as (1 + n) / (10 + n)."""

    def __init__(self, module: TorchGraph, decay: float) -> None:
        self.module = _copy(module)
        self.module.eval()
        self._decay, self._count = decay, 0
        self._to = [t for t in self.module.state_dict().values() if t.is_floating_point()]
        self._from = [t for t in module.state_dict().values() if t.is_floating_point()]

    @torch.no_grad()
    def update(self) -> None:
        self._count += 1
        decay = min(self._decay, (1 + self._count) / (10 + self._count))
        torch._foreach_lerp_(self._to, self._from, 1 - decay)


def given(graph: Graph, x: np.ndarray) -> torch.Tensor:
    """Samples in the type of the graph's input."""
    return torch.from_numpy(np.ascontiguousarray(x, graph.inputs[0].dtype))


@torch.no_grad()
def _logits(module: TorchGraph, x: np.ndarray, device: torch.device, batch: int = 1024) -> torch.Tensor:
    module.eval()
    blocks = (given(module.graph, x[i : i + batch]) for i in range(0, len(x), batch))
    parts = [module(channels_last(block.to(device))).float().cpu() for block in blocks]
    return torch.cat(parts)


def _judge(module: TorchGraph, x: np.ndarray, y: np.ndarray, device: torch.device) -> dict[str, float]:
    logits = _logits(module, x, device)
    labels = torch.from_numpy(y)
    return {
        "accuracy": float((logits.argmax(1) == labels).float().mean()),
        "loss": float(functional.cross_entropy(logits, labels)),
    }


def evaluate(graph: Graph, x: np.ndarray, y: np.ndarray, device: torch.device | None = None) -> dict[str, float]:
    """Accuracy (0..1) and cross-entropy of a float graph with weights."""
    device = device or best_device()
    return _judge(_placed(to_torch(graph), device), x, y, device)


def predict(graph: Graph, x: np.ndarray, device: torch.device | None = None) -> np.ndarray:
    """Logits float32 [n, K] of a float graph with weights."""
    device = device or best_device()
    return np.asarray(_logits(_placed(to_torch(graph), device), x, device).numpy())
