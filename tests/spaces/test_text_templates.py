"""Templates of text classifiers: each builds and computes alike everywhere; searches change what is on only."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import onnxruntime
import pytest

from netwright import search, spaces
from netwright.errors import UserError
from netwright.graph import Graph, Type
from netwright.graph.onnx import to_onnx
from netwright.graph.torch import from_numpy, to_torch
from netwright.search import Objective
from netwright.spaces.zoo.text_templates import PARTS, space, usual
from netwright.train import Recipe, evaluate, train

X, Y, WORDS = Type((1, 12), "int32"), Type((1, 3)), 50
TEMPLATES = [parts for count in (1, 2, 3) for parts in combinations(PARTS, count)]


def network(candidate: Any, seed: int = 0) -> Graph:
    graph = space(WORDS).build(candidate, X, Y).graph
    return graph.with_store(graph.store.initialise(graph, seed))


def alike_everywhere(graph: Graph) -> None:
    words = np.random.default_rng(1).integers(0, WORDS, (5, 12)).astype(np.int32)
    (expected,) = graph.run(words)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(to_onnx(graph).SerializeToString(), options, ["CPUExecutionProvider"])
    there = np.concatenate([session.run(None, {session.get_inputs()[0].name: row[None]})[0] for row in words])
    in_torch = to_torch(graph).eval()(from_numpy(words)).detach().numpy()
    bound = 1e-5 * float(np.abs(expected).max())
    assert expected.shape == (5, 3) and np.abs(there - expected).max() <= bound
    assert np.abs(in_torch - expected).max() <= bound


@pytest.mark.parametrize("parts", TEMPLATES, ids="+".join)
def test_every_template_computes_alike_in_numpy_torch_and_onnx_runtime(parts: tuple[str, ...]) -> None:
    alike_everywhere(network(usual(*parts)))


def test_samples_build_and_compute_alike() -> None:
    rng = np.random.default_rng(3)
    for _ in range(8):
        alike_everywhere(network(space(WORDS).sample(rng)))


def test_ways_to_join_are_three_networks() -> None:
    three = usual(*PARTS)
    graphs = [network({**three, "template/join": join}) for join in ("concat", "add", "serial")]
    assert len({graph.structure_hash for graph in graphs}) == 3


def test_settings_of_parts_that_are_off_change_nothing() -> None:
    made, rng = space(WORDS), np.random.default_rng(0)
    bag = usual("bag")
    assert not any(address.startswith(("template/convolution/", "template/transformer/", "template/join")) for address in bag)
    with_more = {**bag, "template/convolution/kernel": 5, "template/join": "add"}
    assert made.repair(with_more, rng).key == bag.key
    with pytest.raises(UserError, match="template/convolution/kernel: no such decision"):
        made.validate(with_more)
    alone = made.fix({f"template/{part}": usual("bag")[f"template/{part}"] for part in PARTS})
    seen = {address for _ in range(60) for mutant in [alone.mutate(bag, rng)] for address in mutant if mutant[address] != bag[address]}
    assert seen == {"embedding", "dense", "rate", "drop", "template/bag/width", "template/bag/pool"}


def loss(candidate: Any) -> float:
    """A hybrid whose convolution is wide is best."""
    return 3 - sum(candidate[f"template/{part}"] == "on" for part in ("convolution", "bag")) - candidate.get(
        "template/convolution/filters", 0) / 128


def searched(slow: float, seed: int) -> list[Any]:
    """Candidates in the order asked, rates high enough that some decision is redrawn each time."""
    strategy = search.get("adaptive-mutation")(space(WORDS), [Objective("loss")], seed=seed, first=6, rate=0.9, fixed=True,
                                              slow=slow)
    found = []
    for _ in range(40):
        trial = strategy.ask()[0]
        found.append(space(WORDS).validate(trial.candidate))
        strategy.tell(trial, {"loss": loss(trial.candidate)})
    return found


def bits(candidate: Any) -> tuple[str, ...]:
    return tuple(candidate[f"template/{part}"] for part in PARTS)


def test_bits_change_in_the_slow_share_of_mutations_only() -> None:
    for slow, least, most in ((0.0, 0, 0), (0.25, 1, 17), (1.0, 18, 34)):
        for seed in range(3):
            found = searched(slow, seed)
            parents = [min(found[:place], key=loss) for place in range(6, len(found))]
            changed = sum(bits(mutant) != bits(parent) for mutant, parent in zip(found[6:], parents, strict=True))
            assert least <= changed <= most


def test_learned_rates_are_of_decisions_that_were_active() -> None:
    strategy = search.get("adaptive-mutation")(space(WORDS), [Objective("loss")], seed=0)
    asked: set[str] = set()
    for _ in range(60):
        trial = strategy.ask()[0]
        asked |= set(space(WORDS).validate(trial.candidate))
        strategy.tell(trial, {"loss": loss(trial.candidate)})
    assert set(strategy.rates) <= asked
    assert all(strategy.floor <= rate <= strategy.ceil for rate in strategy.rates.values())
    assert strategy.best().costs[0] == 0


def test_a_part_may_be_fixed() -> None:
    made = spaces.get("text-templates", vocabulary=WORDS, fixed={"template/transformer": "on"})
    rng = np.random.default_rng(0)
    assert {made.sample(rng)["template/transformer"] for _ in range(20)} == {"on"}
    assert 0 < made.count() < space(WORDS).count()
    with pytest.raises(UserError, match='no decision "template/lstm" to fix'):
        space(WORDS, {"template/lstm": "on"})
    with pytest.raises(ValueError, match="not lstm"):
        usual("lstm")


def test_images_are_refused() -> None:
    with pytest.raises(ValueError, match="needs numbers of words"):
        space(WORDS).build(usual("bag"), Type((1, 1, 8, 8)), Y)


@pytest.mark.parametrize("parts", [("bag",), ("convolution",), ("transformer",)], ids="+".join)
def test_a_part_alone_learns_which_word_is_there(parts: tuple[str, ...]) -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(4, WORDS, (256, 12)).astype(np.int32)
    y = np.arange(256) % 3
    x[np.arange(256), rng.integers(0, 12, 256)] = 1 + y
    build = space(WORDS).build(usual(*parts), X, Y)
    trained = train(build.graph, x, y, Recipe(epochs=15, batch=32, ema=0.9).changed(build.recipe))
    assert evaluate(trained.graph, x, y)["accuracy"] > 0.95
