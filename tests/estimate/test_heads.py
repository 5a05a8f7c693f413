"""Scores of attention blocks against closed forms and plain loops, and against the recorded ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from netwright import estimate, spaces
from netwright.errors import UserError
from netwright.estimate.tables.files import read
from netwright.graph import Builder, Graph, Init, Type
from netwright.graph.ops.linear import Linear
from netwright.graph.torch import to_torch
from netwright.spaces.zoo.flexibert import Layer, Recipe, as_scored, network, parse

TOKENS = np.random.default_rng(0).integers(20, size=(3, 6))
MIXED = Recipe(16, (Layer("SA", "WMA", 4, 24, 3), Layer("LT", "DFT", 2, 24, 1), Layer("DSC", 5, 4, 24, 1)))


def encoder(given: Recipe = MIXED, classes: int | None = None) -> Graph:
    return network(given, 6, classes, vocabulary=20, embedding=8, positions=6)


def single(rows: int = 4, columns: int = 3) -> Graph:
    """One linear map, y = W x, that is an attention block's query."""
    b = Builder("single")
    x = b.input("x", Type((1, columns)))
    b.output(b(Linear(), x, b.param("attention.query.weight", (rows, columns), init=Init("normal"))))
    return b.graph()


def test_gradients_of_a_single_map_have_closed_forms() -> None:
    graph, x = single(), np.random.default_rng(1).normal(size=(5, 3)).astype(np.float32)
    w = graph.store.initialise(graph, 0)["attention.query.weight"]
    summed = x.sum(0)
    importance = estimate.get("head-importance")(graph, x, against="ones")
    assert importance["head_importance"] == pytest.approx(np.abs(w * summed).sum(), rel=1e-5)
    diversity = estimate.get("synaptic-diversity")(graph, x, against="ones")
    expected = np.linalg.svd(w, compute_uv=False).sum() * np.sqrt(4) * np.linalg.norm(summed)
    assert diversity["synaptic_diversity"] == pytest.approx(expected, rel=1e-5)
    labels = np.array([0, 1, 2, 3, 0])
    shares = np.exp(x @ w.T)
    shares /= shares.sum(1, keepdims=True)
    slope = (shares - np.eye(4)[labels]).T @ x / 5
    found = estimate.get("head-importance")(graph, x, labels)["head_importance"]
    assert found == pytest.approx(np.abs(w * slope).sum(), rel=1e-4)


def test_sums_are_over_the_maps_of_attention_blocks() -> None:
    for name, terms in {"head-importance": 4 + 1 + 4, "synaptic-diversity": 5 + 1 + 6, "head-confidence": 4 + 1 + 3,
                        "activation-distance": 3 + 1 + 1}.items():  # fmt: skip
        key = name.replace("-", "_")
        found = estimate.get(name)(encoder(), TOKENS)
        assert set(found) == {key, f"{key}_normalized"}
        assert found[key] == pytest.approx(terms * found[f"{key}_normalized"])
    softmax = estimate.get("head-confidence")(encoder(), TOKENS, softmax=True)
    assert softmax["head_softmax_confidence"] == pytest.approx(3 * softmax["head_softmax_confidence_normalized"])


def test_confidence_is_the_mean_of_the_largest() -> None:
    graph = encoder(Recipe(8, (Layer("SA", "SDP", 2, 24, 1),)))
    module = to_torch(graph, 4)
    with torch.no_grad():
        v = module.tensor("embeddings.word")[torch.from_numpy(TOKENS)] + module.tensor("embeddings.position")
        v = v + module.tensor("embeddings.token_type")[0]
        v = torch.nn.functional.layer_norm(v, (8,), eps=1e-12)
        q, k, value = (v @ module.tensor(f"layer0.attention.{name}.weight").T for name in ("query", "key", "value"))
        expected = sum(part.amax(1).mean().item() for part in (q, k, value))
        q, k = (part.reshape(3, 6, 2, 4).transpose(1, 2) for part in (q, k))
        shares = torch.softmax(q @ k.transpose(2, 3) / 2, -1).amax(1).mean().item()
    assert estimate.get("head-confidence")(graph, TOKENS, seed=4)["head_confidence"] == pytest.approx(expected, rel=1e-5)
    softmax = estimate.get("head-confidence")(graph, TOKENS, seed=4, softmax=True)
    assert softmax["head_softmax_confidence"] == pytest.approx(shares, rel=1e-5)


def test_the_sum_of_a_layer_norms_outputs_has_only_rounding_as_gradient() -> None:
    score = estimate.get("head-importance")
    rounding, real = (score(encoder(), TOKENS, against=how)["head_importance"] for how in ("ones", "random"))
    assert 0 <= rounding < 1e-4 * real
    logits = encoder(classes=3)
    assert score(logits, TOKENS, against="ones")["head_importance"] > 1e-3 * score(logits, TOKENS)["head_importance"]


def test_activation_distance_counts_signs_that_agree() -> None:
    graph = encoder(Recipe(8, (Layer("SA", "SDP", 2, 5, 1),)))
    module = to_torch(graph, 0)
    seen = {}
    with torch.no_grad():
        values = {graph.inputs[0]: torch.from_numpy(TOKENS), **{p.value: module.tensor(p.tensor) for p in graph.params}}
        for node in graph.nodes:
            values[node.output] = node.op.torch(*[values[v] for v in node.inputs if v is not None])
            seen[node.op.name] = values[node.output]
    signs = seen["gelu"][0] > 0
    expected = sum(int((a == b).sum()) for a in signs for b in signs)
    assert estimate.get("activation-distance")(graph, TOKENS)["activation_distance"] == expected


def test_a_vision_transformer_of_the_search_is_scored_too() -> None:
    space = spaces.get("vit")
    graph = space.build(space.sample(np.random.default_rng(0)), Type((1, 1, 12, 12)), Type((1, 4))).graph
    x = np.random.default_rng(0).normal(size=(2, 1, 12, 12))
    for name in ("head-confidence", "head-importance", "synaptic-diversity", "activation-distance"):
        assert all(np.isfinite(v) and v > 0 for v in estimate.get(name)(graph, x).values())


@pytest.mark.parametrize("name", ["head-confidence", "head-importance", "synaptic-diversity", "activation-distance"])
def test_what_cannot_be_scored_is_refused_in_one_line(name: str) -> None:
    score = estimate.get(name)
    with pytest.raises(UserError, match="not a batch of shape"):
        score(encoder(), TOKENS[:, :5])
    space = spaces.get("mlp")
    plain = space.build(space.sample(np.random.default_rng(0)), Type((1, 6)), Type((1, 2))).graph
    with pytest.raises(UserError, match="for transformers"):
        score(plain, np.zeros((2, 6)))


def test_gradients_are_asked_for_rightly() -> None:
    score = estimate.get("head-importance")
    with pytest.raises(UserError, match='"random" or "ones"'):
        score(encoder(), TOKENS, against="twos")
    for graph, labels in ((encoder(), [0, 1, 1]), (encoder(classes=2), [0, 1])):
        with pytest.raises(UserError, match="labels are one class number a sample"):
            score(graph, TOKENS, labels)


def test_confidence_already_ranks_as_recorded_on_few_tokens(shared_data: Path) -> None:
    table = read(shared_data / "nas-nlp" / "bert_glue_training_free.parquet",
                 ["nas_config", "hidden_size", "head_confidence"])  # fmt: skip
    tokens = np.random.default_rng(0).integers(100, size=(2, 48))
    given = [as_scored(parse(table["nas_config"][row], table["hidden_size"][row])) for row in range(16)]
    found = [estimate.get("head-confidence")(network(x, 48, vocabulary=100), tokens)["head_confidence"] for x in given]
    assert spearmanr(found, table["head_confidence"][:16]).statistic > 0.9
