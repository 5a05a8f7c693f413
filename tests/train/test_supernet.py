"""Weight sharing: views are cuts, training moves what its networks use, and what is inherited runs by itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from netwright import spaces
from netwright.graph import Graph, Type
from netwright.graph.ops.norm import BatchNorm
from netwright.graph.torch import to_torch
from netwright.train import Recipe, Supernet, evaluate

SPACE = spaces.get("mobilenet")


def network(kernel: int, expand: int, depth: int, stages: int = 2) -> Graph:
    blocks = [{"kernel": kernel, "expand": expand}] * depth
    structure = {"resolution": 1.0, "width": 0.2, "stem_stride": 1, "stages": [blocks] * stages + [[]] * (5 - stages)}
    assert SPACE.builder is not None
    return SPACE.builder(structure, Type((1, 1, 8, 8)), Type((1, 4))).graph


def bars(n: int = 256, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 4
    x = rng.standard_normal((n, 1, 8, 8)).astype(np.float32) * 0.3
    for image, label in zip(x[:, 0], y, strict=True):
        image[:, 2 * label : 2 * label + 2] += 1.5
    return x, y.astype(np.int64)


SMALL, LARGE = network(3, 3, 1), network(7, 6, 2)


def test_a_view_reads_the_first_channels_and_the_centre_of_the_kernel() -> None:
    supernet = Supernet.over([SMALL], [LARGE], seed=3)
    view = supernet.view(SMALL)
    (param,) = (p for p in view.params if p.tensor == "stage0.block0.depthwise.weight")
    whole = supernet.store[param.tensor]
    channels = param.value.shape[0]
    assert whole.shape[2:] == (7, 7) and channels < whole.shape[0]
    assert np.array_equal(view.store.read(param), whole[:channels, :, 2:5, 2:5])
    assert supernet.size == sum(p.value.type.size for p in LARGE.params)


def test_networks_that_need_more_than_is_shared_are_refused() -> None:
    supernet = Supernet.over([SMALL])
    assert supernet.covers(SMALL) and not supernet.covers(LARGE)
    with pytest.raises(ValueError, match="not so large"):
        supernet.view(LARGE)
    with pytest.raises(ValueError, match="at least one"):
        supernet.train([], *bars(), Recipe())


def test_training_moves_only_what_its_networks_use() -> None:
    supernet = Supernet.over([SMALL], [LARGE])
    before = supernet.store
    supernet.train([SMALL], *bars(), Recipe(epochs=1, batch=64, decay=0.0))
    name = "stage0.block0.depthwise.weight"
    changed = supernet.store[name] != before[name]
    channels = next(p.value.shape[0] for p in SMALL.params if p.tensor == name)
    assert changed[:channels, :, 2:5, 2:5].all()
    changed[:channels, :, 2:5, 2:5] = False
    assert not changed.any() and channels == 24
    other = "stage0.block1.depthwise.weight"
    assert np.array_equal(supernet.store[other], before[other])


def test_every_network_learns_and_the_same_seed_repeats_to_the_bit() -> None:
    pool = [network(k, e, d) for k in (3, 5) for e in (3, 6) for d in (1, 2)]
    x, y = bars()
    recipe = Recipe(epochs=25, batch=64, rate=5e-3)
    first, second = Supernet.over(pool, seed=1), Supernet.over(pool, seed=1)
    for supernet in (first, second):
        supernet.train(pool, x, y, recipe, seed=1)
    assert all(np.array_equal(first.store[name], second.store[name]) for name in first.store)
    for graph in pool:
        assert evaluate(first.inherited(graph, x), *bars(seed=7))["accuracy"] > 0.9


def test_inherited_batch_norms_hold_the_statistics_of_the_network_itself() -> None:
    supernet = Supernet.over([SMALL, LARGE])
    x, _ = bars()
    own = supernet.inherited(SMALL, x)
    assert not any(p.views for p in own.params)
    module = to_torch(own).eval()
    tensors = torch.from_numpy(x)
    # the first batch norm's input, by hand
    node = next(n for n in own.nodes if isinstance(n.op, BatchNorm))
    weight = module.tensor(own.params[0].tensor)
    values = functional.conv2d(tensors, weight, padding=1)
    mean, variance = (own.store[p.tensor] for p in own.params if p.value in node.inputs[3:])
    assert np.allclose(mean, values.mean((0, 2, 3)).detach(), atol=1e-5)
    assert np.allclose(variance, values.var((0, 2, 3)).detach(), rtol=1e-4)


def test_networks_of_several_resolutions_share_weights() -> None:
    small = SPACE.builder(
        {"resolution": 0.5, "width": 0.2, "stem_stride": 1, "stages": [[{"kernel": 3, "expand": 3}]] + [[]] * 4},
        Type((1, 1, 8, 8)), Type((1, 4)),
    ).graph  # fmt: skip
    assert small.inputs[0].shape == (1, 1, 4, 4)
    supernet = Supernet.over([SMALL, small])
    x, y = bars()
    supernet.train([SMALL, small], x, y, Recipe(epochs=40, batch=64, rate=5e-3))
    halved = functional.interpolate(torch.from_numpy(x), size=(4, 4), mode="bilinear", antialias=True).numpy()
    assert evaluate(supernet.inherited(small, halved), halved, y)["accuracy"] > 0.9
    assert evaluate(supernet.inherited(SMALL, x), x, y)["accuracy"] > 0.9


def test_a_rate_that_is_too_high_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    supernet = Supernet.over([SMALL])
    with pytest.raises(FloatingPointError, match="lower the rate"):
        supernet.train([SMALL], *bars(), replace(Recipe(epochs=3, batch=64), rate=float("inf")))
