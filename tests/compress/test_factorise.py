"""Low rank by singular values: the whole rank is the same map, a lower one the nearest."""

from __future__ import annotations

import numpy as np
import pytest

from netwright.compress import factorise
from netwright.errors import UserError
from netwright.graph import OPS, Builder, Graph, Type
from netwright.spaces.zoo import vit


def dense() -> Graph:
    structure = {"patches": 5, "width": 24, "rank": 1.0, "blocks": [{"heads": 2, "ratio": 3}] * 2}
    graph = vit.build(structure, Type((1, 1, 20, 20)), Type((1, 10))).graph
    return graph.with_store(graph.store.initialise(graph, 0))


def test_the_whole_rank_reproduces_the_dense_layers() -> None:
    graph = dense()
    x = np.random.default_rng(0).standard_normal((8, 1, 20, 20)).astype(np.float32)
    factors = factorise(graph, 1.0, always=True)
    count = [sum(isinstance(n.op, OPS["linear"]) for n in g.nodes) for g in (graph, factors)]
    assert count[1] == 2 * count[0]
    (expected,), (found,) = graph.run(x), factors.run(x)
    assert np.abs(found - expected).max() <= 1e-5 * max(1.0, float(np.abs(expected).max()))


@pytest.mark.parametrize("ratio", (0.1, 0.5, 0.9))
def test_factors_are_the_nearest_of_their_rank(ratio: float) -> None:
    rng = np.random.default_rng(1)
    b = Builder("one")
    x = b.input("x", Type((1, 20)))
    w = b.param("w", (30, 20))
    b.output(b(OPS["linear"](), x, w, b.param("b", (30,))))
    graph = b.graph()
    weights = rng.standard_normal((30, 20)).astype(np.float32)
    graph = graph.with_store(graph.store.initialise(graph, 0))
    graph.store["w"] = weights
    made = factorise(graph, ratio, always=True)
    product = made.store["w.outer"] @ made.store["w.inner"]
    rank = int(ratio * 20)
    assert np.linalg.matrix_rank(product) == rank
    lost = np.linalg.svd(weights, compute_uv=False)[rank:]
    assert np.linalg.norm(weights - product) == pytest.approx(np.linalg.norm(lost), rel=1e-4)


def test_layers_that_would_not_shrink_stay() -> None:
    graph = dense()
    assert factorise(graph, 0.9).structure_hash == graph.structure_hash
    assert factorise(graph, 0.25).macs < graph.macs


def test_what_cannot_be_factorised_is_refused_in_one_line() -> None:
    with pytest.raises(UserError, match=r"not 1\.5"):
        factorise(dense(), 1.5)
    structure = {"patches": 5, "width": 24, "rank": 1.0, "blocks": [{"heads": 2, "ratio": 3}]}
    with pytest.raises(UserError, match="has no contents"):
        factorise(vit.build(structure, Type((1, 1, 20, 20)), Type((1, 10))).graph, 0.25)
