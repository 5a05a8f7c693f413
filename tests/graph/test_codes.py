"""Graphs as numbers: neighbourhoods that are counted, tables of nodes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr

from netwright import spaces
from netwright.estimate import predictors
from netwright.graph import Graph, Type
from netwright.graph.codes import Counts, Tables

SPACE = spaces.get("nb201", channels=4, cells=1)


def drawn(count: int) -> list[Graph]:
    rng = np.random.default_rng(0)
    return [SPACE.build(SPACE.sample(rng), Type((1, 3, 8, 8)), Type((1, 10))).graph for _ in range(count)]


def test_equal_networks_have_equal_counts_and_others_do_not() -> None:
    graphs = drawn(60)
    counts = Counts(graphs)
    codes = counts(graphs)
    assert codes.shape[0] == 60 and (np.ptp(codes, axis=0) > 0).all()
    assert len(np.unique(codes.T, axis=0)) == codes.shape[1]
    for one in range(60):
        for two in range(one):
            if (codes[one] == codes[two]).all():
                assert graphs[one].macs == graphs[two].macs
    same = SPACE.build({"0-1": "nor_conv_3x3", "0-2": "none", "1-2": "skip_connect", "0-3": "none", "1-3": "none",
                        "2-3": "avg_pool_3x3"}, Type((1, 3, 8, 8)), Type((1, 10))).graph
    other = SPACE.build({"0-1": "nor_conv_3x3", "0-2": "none", "1-2": "none", "0-3": "none", "1-3": "avg_pool_3x3",
                         "2-3": "nor_conv_1x1"}, Type((1, 3, 8, 8)), Type((1, 10))).graph
    assert (counts([same]) == counts([other])).all()
    with pytest.raises(ValueError, match="at least one graph"):
        Counts([])


def test_tables_say_which_node_reads_which() -> None:
    graphs = drawn(5)
    found = Tables(graphs)(graphs)
    most = max(len(graph.nodes) for graph in graphs)
    assert found.shape[1] == most and found.dtype == np.float32
    for rows, graph in zip(found, graphs, strict=True):
        edges = rows[:, -most:]
        assert edges.sum() == sum(len({v for v in node.inputs if v in graph.producers}) for node in graph.nodes)
        assert (np.triu(edges) == 0).all(), "a node reads only earlier ones"
        assert rows[: len(graph.nodes), : -most - 2].sum() == len(graph.nodes)


@pytest.mark.parametrize("kind", ["gaussian-process", "graph-network"])
def test_predictors_learn_from_graphs(kind: str) -> None:
    graphs = drawn(160)
    codes = Tables(graphs)(graphs) if kind == "graph-network" else Counts(graphs)(graphs)
    depth = np.array([np.log(graph.macs) for graph in graphs])
    model = predictors.get(kind)(seed=0)
    with pytest.raises(ValueError, match="fit comes before"):
        model.predict(codes)
    model.fit(codes[:100], depth[:100])
    assert spearmanr(model.predict(codes[100:]), depth[100:]).statistic > 0.8
    if kind == "graph-network":
        again = predictors.get(kind)(seed=0)
        again.fit(codes[:100], depth[:100])
        assert (again.predict(codes[100:]) == model.predict(codes[100:])).all()
        with pytest.raises(ValueError, match="tables of nodes"):
            model.fit(np.zeros((4, 3)), np.zeros(4))
        with pytest.raises(ValueError, match="make both by one Tables"):
            model.predict(codes[:, :-1])


def test_what_was_not_learned_is_not_counted() -> None:
    graphs = drawn(30)
    counts, few = Counts(graphs[:2]), Tables(graphs[:2])
    assert counts(graphs[2:]).shape == (28, counts(graphs[:2]).shape[1])
    largest = max(graphs, key=lambda graph: len(graph.nodes))
    assert len(largest.nodes) > few.nodes
    with pytest.raises(ValueError, match="more than these tables"):
        few([largest])


def test_a_search_may_predict_from_graphs() -> None:
    from netwright import search
    from netwright.search import Objective

    def graph(candidate: Any) -> Graph:
        return SPACE.build(candidate, Type((1, 3, 8, 8)), Type((1, 10))).graph

    counts = Counts(drawn(60))
    run = search.get("linas")(SPACE, [Objective("macs")], seed=0, first=8, batch=4, inner=60,
                              encode=lambda candidate: counts([graph(candidate)])[0])
    values = []
    for _ in range(20):
        trial = run.ask()[0]
        values.append(graph(trial.candidate).macs)
        run.tell(trial, {"macs": values[-1]})
    assert np.mean(values[8:]) < np.mean(values[:8])
