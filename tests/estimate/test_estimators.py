"""Estimators against what is known of a network."""

from __future__ import annotations

import math

import numpy as np
import pytest

from netwright import devices, estimate, spaces
from netwright.errors import UserError
from netwright.graph import Graph, Type
from netwright.train import Recipe, evaluate, train


def network(width: int = 8) -> Graph:
    structure = {"blocks": [{"width": width, "kernel": 3, "down": "none"}] * 2, "head": "gap"}
    space = spaces.get("conv-small")
    assert space.builder is not None
    return space.builder(structure, Type((1, 1, 8, 8)), Type((1, 10))).graph


def test_counts_of_a_network_done_by_hand() -> None:
    graph = network(8)
    assert estimate.get("macs")(graph) == {"macs": 64 * 9 * 8 + 64 * 9 * 8 * 8 + 80}
    assert estimate.get("parameters")(graph) == {"parameters": 72 + 16 + 576 + 16 + 80 + 10}
    assert estimate.get("peak-memory")(graph) == {
        "peak_memory_bytes": 64 * 8 + 8 * 9 + 4 * 9 * 8 + 36
    }  # a row and a pixel ahead, windows


def test_peak_memory_is_the_plan_that_the_compiler_makes() -> None:
    graph = network(12)
    device = devices.get("cortex-m4")
    assert estimate.get("peak_memory")(graph)["peak_memory_bytes"] == device.cost(graph).ram_bytes["arena"]


def test_device_cost_grows_with_the_network() -> None:
    device = devices.get("cortex-m4")
    small, large = (estimate.get("device-cost")(network(w), device=device) for w in (4, 32))
    assert all(small[key] < large[key] for key in ("latency_ms", "ram_bytes", "flash_bytes", "instructions"))


@pytest.mark.parametrize("name", ["synflow", "capacity"])
def test_training_free_scores_repeat_and_prefer_wider_networks(name: str) -> None:
    score = estimate.get(name)
    (key,) = score(network(4))
    assert score(network(8)) == score(network(8))
    values = [score(network(w))[key] for w in (4, 8, 16, 32)]
    assert values == sorted(values) and all(map(math.isfinite, values))


def test_synflow_is_the_sum_over_weights_of_weight_times_gradient() -> None:
    import torch

    from netwright.graph.torch import to_torch

    graph = network(4)
    module = to_torch(graph, 0).double().eval()
    with torch.no_grad():
        for p in module.parameters():
            p.abs_()
    module(torch.ones(1, 1, 8, 8, dtype=torch.float64)).sum().backward()
    total = sum(float((p.detach() * p.grad).sum()) for p in module.parameters())
    assert estimate.get("synflow")(graph, 0)["synflow"] == pytest.approx(math.log(total), rel=1e-9)


def test_short_training_averages_over_folds() -> None:
    rng = np.random.default_rng(0)
    y = (np.arange(64) % 2).astype(np.int64)
    x = (rng.standard_normal((64, 1, 8, 8)) + y[:, None, None, None]).astype(np.float32)
    folds = [((x[:32], y[:32]), (x[32:], y[32:])), ((x[32:], y[32:]), (x[:32], y[:32]))]
    found = estimate.get("short-training")(
        network(4), train=train, evaluate=evaluate, recipe=Recipe(epochs=60, batch=16), folds=folds
    )
    assert 0.5 < found["accuracy"] <= 1 and math.isfinite(found["loss"])


def test_unknown_estimators_suggest_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean 'synflow'"):
        estimate.get("sinflow")
