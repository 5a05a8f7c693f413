"""NAS-Bench-NLP's cells as step Graphs: recorded parameter counts, the benchmark's own semantics, bad recipes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from netwright.errors import UserError
from netwright.graph import Type
from netwright.graph.torch import to_torch
from netwright.spaces.zoo import rnn_cells
from netwright.spaces.zoo.rnn_cells import network, parse, recipe, space

LSTM = {
    "h_new_0": {"op": "elementwise_prod", "input": ["o", "c_out"]},
    "c_out": {"op": "activation_tanh", "input": ["h_new_1"]},
    "h_new_1": {"op": "elementwise_sum", "input": ["kept", "fresh"]},
    "kept": {"op": "elementwise_prod", "input": ["f", "h_prev_1"]},
    "fresh": {"op": "elementwise_prod", "input": ["i", "g"]},
    **{gate: {"op": "activation_sigm", "input": [f"{gate}_sum"]} for gate in "ifo"},
    "g": {"op": "activation_tanh", "input": ["g_sum"]},
    **{f"{gate}_sum": {"op": "linear", "input": ["x", "h_prev_0"]} for gate in "ifgo"},
}


def test_all_recorded_recipes_have_exactly_the_recorded_number_of_parameters(shared_data: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    table = pq.read_table(shared_data / "nas-nlp" / "nas_bench_nlp_wikitext2.parquet", columns=["recipe", "num_params"])
    recipes, counts = (table[name].to_pylist() for name in ("recipe", "num_params"))
    assert len(recipes) == 345
    assert [network(text, 33_278).parameter_count for text in recipes] == counts


def test_an_lstm_written_as_a_recipe_is_torchs_lstm() -> None:
    graph = network(json.dumps(LSTM), vocabulary=11, embedding=5, hidden=7, layers=2)
    module = to_torch(graph, 0).eval()
    words = torch.randint(11, (6, 3), generator=torch.Generator().manual_seed(0))
    peers = [torch.nn.LSTMCell(5, 7), torch.nn.LSTMCell(7, 5)]
    with torch.no_grad():
        for layer, peer in enumerate(peers):
            for name, part in (("weight_ih", "weight0"), ("weight_hh", "weight1"), ("bias_ih", "bias")):
                gates = [module.tensor(f"layer{layer}.{gate}_sum.{part}") for gate in "ifgo"]
                getattr(peer, name).copy_(torch.cat(gates))
            peer.bias_hh.zero_()
        states: dict[str, torch.Tensor] | None = None
        memory: list[Any] = [None, None]
        for step in words:
            (logits,), states = module.step((step,), states)
            v = module.tensor("embedding")[step]
            for layer, peer in enumerate(peers):
                memory[layer] = peer(v, memory[layer])
                v = memory[layer][0]
            torch.testing.assert_close(logits, v @ module.tensor("embedding").T)
            torch.testing.assert_close(states["layer1.h_1"], memory[1][1])


def test_blend_mixes_by_its_first_input() -> None:
    nodes = {"h_new_0": {"op": "blend", "input": ["x", "h_prev_0", "h_prev_0"]}}
    graph = network(nodes, vocabulary=4, embedding=3, layers=1)
    runner = to_torch(graph)
    before = torch.rand(2, 3)
    _, states = runner.step((torch.tensor([1, 2]),), {"layer0.h_0": before})
    torch.testing.assert_close(states["layer0.h_0"], before)  # g * h + (1 - g) * h


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("{", "is a JSON object"),
        ({"node_0": {"op": "linear", "input": ["x"]}}, 'needs a node "h_new_0"'),
        ({"h_new_0": {"op": "liner", "input": ["x"]}}, "did you mean 'linear'"),
        ({"h_new_0": {"op": "blend", "input": ["x"]}}, "blend takes 3 to 3 inputs, not 1"),
        ({"h_new_0": {"op": "linear", "input": ["h_prev_1"]}}, "neither x, a memory nor a node"),
        ({"h_new_0": {"op": "linear", "input": ["a"]}, "a": {"op": "linear", "input": ["h_new_0"]}}, "wait for each"),
    ],
)
def test_what_is_no_recipe_is_refused_in_one_line(given: Any, words: str) -> None:
    with pytest.raises(UserError, match=words):
        parse(given)


def test_what_has_another_width_than_the_memories_is_refused() -> None:
    with pytest.raises(UserError, match="reads what is 3 wide"):
        network({"h_new_0": {"op": "activation_tanh", "input": ["x"]}}, 4, 3, 5)


def test_every_sample_builds_runs_and_reads_back() -> None:
    made = space(nodes=6, embedding=4, hidden=5, layers=2)
    rng = np.random.default_rng(0)
    seen = set()
    for _ in range(60):
        candidate = made.sample(rng)
        cell = recipe(made.decode(candidate))
        assert parse(json.dumps(cell)) == cell
        graph = made.build(candidate, Type((1,), "int64"), Type((1, 9))).graph
        (logits,) = graph.with_store(graph.store.initialise(graph)).run(np.array([3]))
        assert logits.shape == (1, 9) and np.isfinite(logits).all()
        seen.add(len(graph.states))
        assert any(node["op"] in rnn_cells.TAKES for node in cell.values())
    assert seen >= {2, 4, 6}
