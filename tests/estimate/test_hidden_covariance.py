"""Hidden covariance against the published formula over a plain loop, and against the published scores."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from netwright import estimate
from netwright.errors import UserError
from netwright.estimate.tables.files import read
from netwright.graph import Builder, Type
from netwright.graph.ops.unary import Relu
from netwright.spaces.zoo.rnn_cells import network

GATED = {
    "z": {"op": "activation_sigm", "input": ["zs"]}, "zs": {"op": "linear", "input": ["x", "h_prev_0"]},
    "n": {"op": "activation_tanh", "input": ["ns"]}, "ns": {"op": "linear", "input": ["x", "h_prev_0"]},
    "h_new_0": {"op": "blend", "input": ["z", "h_prev_0", "n"]},
}  # fmt: skip


def test_it_is_the_published_formula_over_a_plain_loop() -> None:
    graph = network(GATED, vocabulary=20, embedding=6, hidden=8, layers=2)
    words = np.random.default_rng(0).integers(20, size=(9, 5))
    store = graph.store.initialise(graph, 0)
    part = {name: torch.from_numpy(store[f"layer0.{name}"]) for name in
            ("zs.weight0", "zs.weight1", "zs.bias", "ns.weight0", "ns.weight1", "ns.bias")}  # fmt: skip
    h, seen = torch.zeros(5, 8), []
    for step in words:
        x = torch.from_numpy(store["embedding"])[step]
        seen.append(h)
        z = torch.sigmoid(x @ part["zs.weight0"].T + h @ part["zs.weight1"].T + part["zs.bias"])
        n = torch.tanh(x @ part["ns.weight0"].T + h @ part["ns.weight1"].T + part["ns.bias"])
        h = z * h + (1 - z) * n
    units = torch.dstack(seen).transpose(0, 1).reshape(8, -1).numpy()
    values = np.linalg.eigvalsh(np.corrcoef(units))
    expected = -np.sum(np.log(values + 1e-5) + 1 / (values + 1e-5))
    found = estimate.get("hidden-covariance")(graph, words)
    assert found == {"hidden-covariance": pytest.approx(expected, rel=1e-3)}
    second = estimate.get("hidden-covariance")(graph, words, state="layer1.h_0")
    assert second != found
    assert estimate.get("hidden-covariance")(graph, words, seed=1) != found


def test_units_that_never_change_are_worst() -> None:
    still = network({"h_new_0": {"op": "elementwise_prod", "input": ["h_prev_0", "h_prev_0"]}}, 5, 3, layers=1)
    assert estimate.get("hidden-covariance")(still)["hidden-covariance"] == -math.inf


def test_graphs_without_memory_are_refused() -> None:
    b = Builder("plain")
    b.output(b(Relu(), b.input("x", Type((1, 4)))))
    with pytest.raises(UserError, match="recurrent networks"):
        estimate.get("hidden-covariance")(b.graph())
    with pytest.raises(UserError, match='has no state "h"'):
        estimate.get("hidden-covariance")(network(GATED, 5, 3, 4), state="h")


def test_narrow_cells_on_random_words_already_rank_as_published(shared_data: Path) -> None:
    table = read(shared_data / "nas-nlp" / "rnn_ptb_training_free.parquet", ["recipe", "layer_1_hidden_covariance"])
    published = table["layer_1_hidden_covariance"]
    rows = [row for row, text in enumerate(table["recipe"]) if text and np.isfinite(published[row])][:60]
    graphs = [network(table["recipe"][row], 500, 40, 60, 2) for row in rows]
    found = [estimate.get("hidden-covariance")(graph)["hidden-covariance"] for graph in graphs]
    there = np.isfinite(found)
    assert there.mean() > 0.9
    assert spearmanr(np.array(found)[there], published[rows][there]).statistic > 0.8
