"""NAS-Bench-201 as published: counts, classes, strings, parameters; cells of one class compute alike."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netwright import spaces
from netwright.errors import UserError
from netwright.estimate.tables.files import read
from netwright.graph import Graph, Type
from netwright.spaces import Candidate
from netwright.spaces.zoo import nb201

X, Y = Type((1, 3, 32, 32)), Type((1, 10))
cells = st.tuples(*[st.sampled_from(nb201.OPS)] * 6).map(lambda ops: Candidate(dict(zip(nb201.EDGES, ops, strict=True))))


def test_counts_are_the_published_ones() -> None:
    space = spaces.get("nb201")
    every = list(space.enumerate())
    assert space.count() == len(set(every)) == 15_625
    assert len({nb201.string_class(space.decode(c)) for c in every}) == 6_466
    assert len({space.key(c) for c in every}) == 4_930


@given(cells)
@settings(max_examples=100, deadline=None)
def test_strings_go_out_and_come_back(cell: Candidate) -> None:
    assert nb201.from_string(nb201.to_string(cell)) == cell == spaces.get("nb201").validate(cell)


def test_the_published_best_cell_reads_as_its_string_says() -> None:
    text = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_1x1~2|"
    cell = nb201.from_string(text)
    assert cell["0-1"] == cell["0-2"] == cell["1-2"] == cell["1-3"] == "nor_conv_3x3"
    assert (cell["0-3"], cell["2-3"]) == ("skip_connect", "nor_conv_1x1")


@pytest.mark.parametrize(("text", "message"), [
    ("|nor_conv_9x9~0|+|none~0|none~1|+|none~0|none~1|none~2|", 'there is no operation "nor_conv_9x9"'),
    ("|none~0|+|none~0|none~1|", "is no NAS-Bench-201 cell"),
    ("|none~0|+|none~1|none~0|+|none~0|none~1|none~2|", "is no NAS-Bench-201 cell"),
    ("", "is no NAS-Bench-201 cell"),
])
def test_other_texts_are_refused(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        nb201.from_string(text)


def test_parameters_equal_the_table_and_macs_follow_it(shared_data: Path) -> None:
    folder = shared_data / "nb201"
    archs = read(folder / "nb201_accuracy.parquet", ["arch"])["arch"]  # in the order of the index
    table = read(folder / "nb201_zero_cost.parquet", ["index", "params_c10", "flops_c10"])
    space = spaces.get("nb201")
    rows = np.random.default_rng(0).permutation(len(table["index"]))[:400]
    macs = []
    for row in rows:
        graph = space.build(nb201.from_string(archs[table["index"][row]]), X, Y).graph
        assert graph.parameter_count == round(table["params_c10"][row] * 1e6)
        macs.append(graph.macs / 1e6)
    # the table counts norms and sums too, at two operations an element and more
    assert np.corrcoef(macs, table["flops_c10"][rows])[0, 1] > 0.999


def like_terms(graph: Graph, cell: Candidate) -> Graph:
    """Weights by what they compute: a convolution's by its place in the stack and its formula, all else by its name."""
    nodes = nb201.terms(cell)
    store = graph.store.initialise(graph, 0)
    for param in graph.params:
        place = param.tensor.split(".")
        if "-" in param.tensor:
            edge, op = place[2], place[3]
            formula = f"{place[0]}.{place[1]}.{op}({'+'.join(nodes[int(edge[0])])})"
            store[param.tensor] = drawn(formula + param.tensor.partition(op)[2], param.value.shape)
        elif not any(word in param.tensor for word in ("mean", "variance")):
            store[param.tensor] = drawn(param.tensor, param.value.shape)
    return graph.with_store(store)


def drawn(name: str, shape: tuple[int, ...]) -> np.ndarray:
    if name.endswith(("mean", "bias")):
        return np.zeros(shape, np.float32)
    if name.endswith(("scale", "variance")):
        return np.ones(shape, np.float32)
    rng = np.random.default_rng(list(name.encode()))
    return (rng.standard_normal(shape) * 0.5).astype(np.float32)


def test_cells_of_one_class_give_equal_outputs_with_equal_weights_and_of_others_do_not() -> None:
    space = spaces.get("nb201", channels=4, cells=1)
    classes: dict[str, list[Candidate]] = defaultdict(list)
    for candidate in space.enumerate():
        classes[space.key(candidate)].append(candidate)
    rng = np.random.default_rng(0)
    several = [group for group in classes.values() if len(group) > 1]
    x = rng.standard_normal((2, 3, 8, 8)).astype(np.float32)
    seen = []
    for pick in rng.choice(len(several), 25, replace=False):
        group = several[pick]
        outputs = [like_terms(space.build(group[i], Type((1, 3, 8, 8)), Y).graph, group[i]).run(x)[0]
                   for i in rng.choice(len(group), min(4, len(group)), replace=False)]
        for output in outputs[1:]:
            np.testing.assert_allclose(output, outputs[0], rtol=1e-4, atol=1e-5)
        seen.append(outputs[0])
    flat = np.array(seen).reshape(len(seen), -1)
    apart = np.abs(flat[:, None] - flat[None]).max(-1) + np.eye(len(seen))
    assert apart.min() > 1e-3


def test_reduced_networks_are_smaller_and_share_the_names_of_their_places() -> None:
    best = nb201.from_string("|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_1x1~2|")
    whole = spaces.get("nb201").build(best, X, Y).graph
    small = spaces.get("nb201", channels=4, cells=1).build(best, X, Y).graph
    assert small.macs * 10 < whole.macs
    assert {p.tensor for p in small.params} < {p.tensor for p in whole.params}
    with pytest.raises(ValueError, match="needs images"):
        spaces.get("nb201").build(best, Type((1, 12)), Y)
    with pytest.raises(ValueError, match="at least 1"):
        spaces.get("nb201", cells=0)
