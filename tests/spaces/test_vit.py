"""The space of vision transformers: patches cover the image, low rank saves weights or is left out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from netwright import devices, spaces
from netwright.graph import Graph, Type
from netwright.spaces.zoo import vit

X, Y = Type((1, 1, 28, 28)), Type((1, 10))


def network(x: Type = X, **changes: Any) -> Graph:
    structure = {"patches": 7, "width": 32, "rank": 1.0, "blocks": [{"heads": 2, "ratio": 3}] * 2, **changes}
    return vit.build(structure, x, Y).graph


def weights(graph: Graph) -> int:
    return sum(p.value.type.size for p in graph.params)


@pytest.mark.parametrize(
    ("shape", "patches", "tokens"),
    (((1, 1, 28, 28), 7, 49), ((1, 3, 30, 45), 7, 6 * 9), ((1, 2, 50), 10, 10), ((1, 1, 5, 5), 12, 25)),
)
def test_patches_cover_any_image_or_series(shape: tuple[int, ...], patches: int, tokens: int) -> None:
    graph = network(Type(shape), patches=patches)
    position = next(p.value for p in graph.params if p.value.name.endswith("position"))
    assert position.shape == (tokens, 32)


def test_vectors_are_refused() -> None:
    with pytest.raises(ValueError, match="needs images or series"):
        network(Type((1, 12)))


def test_low_rank_is_taken_only_where_it_saves_weights() -> None:
    full = network()
    assert network(rank=0.9).structure_hash == network(rank=0.75).structure_hash == full.structure_hash
    assert weights(network(rank=0.25)) < weights(network(rank=0.375)) < weights(full)


def test_samples_fit_a_microcontroller_often_enough_for_a_search() -> None:
    space, rng = spaces.get("vit"), np.random.default_rng(0)
    device = devices.get("cortex-m7", ram="64KB", flash="256KB")
    builds = [space.build(space.sample(rng), X, Y) for _ in range(20)]
    fitting = [b for b in builds if not device.check(b.graph)]
    assert len(fitting) >= 10
    assert all(b.recipe["rate"] < 6e-3 for b in builds)
