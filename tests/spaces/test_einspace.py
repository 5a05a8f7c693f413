"""einspace: shapes without tensors are the shapes of the tensors, and every sample is a network that runs everywhere."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections import Counter
from math import prod
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from torch.nn import functional

from netwright import spaces
from netwright.errors import UserError
from netwright.graph import Graph, Type
from netwright.graph.onnx import to_onnx
from netwright.graph.ops.conv import Conv
from netwright.graph.torch import to_torch
from netwright.spaces.domain import Domain, stream
from netwright.spaces.einspace import Rules, State
from netwright.spaces.einspace import network as building
from netwright.spaces.einspace.rules import NAMES, branch, joined, operation, rules
from netwright.spaces.einspace.seeds import compute, convolution, decisions, routed, sequence, started
from netwright.spaces.grammar import Derivation, Grammar, Machine

SHAPE = (3, 28, 28)
SPACE = spaces.get("einspace", shape=SHAPE)
X, Y = Type((1, *SHAPE)), Type((1, 5))


def graph_of(network: Derivation, shape: tuple[int, int, int] = SHAPE) -> Graph:
    space = spaces.get("einspace", shape=shape)
    return space.build(space.validate(decisions(started(network))), Type((1, *shape)), Y).graph


def test_terminals_are_as_many_as_the_paper_lists() -> None:
    aggregations = {(name, symbol) for symbol in ("A2", "A4", "A8") for name in NAMES[symbol]}
    concats = {pair for pair in aggregations if pair[0].startswith("concat")}
    others = {name for name, _ in aggregations - concats}
    counts = {"B": len(NAMES["B"]), "A": len(concats) + len(others), **{s: len(NAMES[s]) for s in "PQC"}}
    assert counts == {"B": 12, "A": 12, "P": 14, "Q": 8, "C": 13}


@pytest.mark.parametrize(
    ("name", "shape", "grid", "after"),
    [
        ("im2col-3-2-1", (3, 28, 28), None, (196, 27)),
        ("im2col-16-16-0", (3, 28, 28), None, (1, 768)),
        ("im2col-8-8-0", (3, 7, 28), None, None),  # the kernel is larger than the image
        ("im2col-1-1-0", (196, 27), None, None),  # no image
        ("col2im", (196, 64), (14, 14), (64, 14, 14)),
        ("col2im", (196, 64), None, None),
        ("col2im", (98, 64), (14, 14), None),
        ("permute-21", (3, 28, 28), None, None),
        ("permute-231", (3, 14, 28), None, (14, 28, 3)),
        ("permute-231", (14, 28), None, None),
        ("linear-16", (3, 28, 28), None, (3, 28, 16)),
    ],
)
def test_operations_follow_the_sheet_of_shapes(name: str, shape: Any, grid: Any, after: Any) -> None:
    made = operation(name, shape, grid)
    assert (made.shape if made else None) == after


def test_branches_split_and_join_by_the_rules_of_the_paper() -> None:
    assert branch("split-1-2", (3, 28, 28)) is None
    assert branch("split-2-4", (3, 28, 28)) == (3, 7, 28)
    assert branch("split-3-2", (8, 4)) is None
    assert joined("dot", [(49, 64), (64, 49)]) == (49, 49)
    assert joined("dot", [(4, 7, 5), (4, 5, 9)]) == (4, 7, 9)
    assert joined("scaled-dot", [(4, 7, 5), (3, 5, 9)]) is None
    assert joined("add", [(49, 64), (64, 49)]) is None
    assert joined("concat-1", [(3, 28, 28), (5, 28, 28)]) == (8, 28, 28)
    assert joined("concat-3", [(49, 64), (49, 64)]) is None
    assert joined("concat-2", [(49, 16)] * 4) == (49, 64)


class Watched(building.Network):
    """Notes the shape after every module and operation, in the order they end."""

    def __init__(self, b: Any) -> None:
        super().__init__(b)
        self.seen: list[tuple[int, ...]] = []

    def module(self, derivation: Any, given: Any, name: str) -> Any:
        made = super().module(derivation, given, name)
        self.seen.append(made[0].shape[1:])
        return made


def inferred(grammar: Grammar, derivation: Any, state: Any) -> tuple[list[tuple[int, ...]], Any]:
    """The shapes after every module by the rules alone, in the same order: what is copied is seen once a copy."""
    symbol, production, parts = derivation
    assert grammar.step is not None
    state = grammar.step(state, symbol, production)
    seen: list[tuple[int, ...]] = []
    times = int(production[-1]) if symbol == "B" and not production.endswith("-2") else 1
    for part in parts:
        inner, state = inferred(grammar, part, state)
        seen += inner * (times if part.symbol == "M" else 1)
    if symbol in ("M", "N"):
        seen.append(state.shape)
    return seen, state


def test_inferred_shapes_and_parameters_are_those_of_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Watched] = []
    monkeypatch.setattr(building, "Network", lambda b: made.append(Watched(b)) or made[-1])
    monkeypatch.setattr(building, "_linear", lambda module: None)  # every module by itself, none fused
    grammar, rng, checked = SPACE.tree["network"], np.random.default_rng(3), 0
    for _ in range(150):
        structure = SPACE.decode(SPACE.sample(rng))
        graph = SPACE.builder(structure, X, Y).graph  # type: ignore[misc]
        shapes, end = inferred(grammar, structure["network"], grammar.state)
        assert made[-1].seen == shapes
        checked += len(shapes)
        head = sum(prod(p.value.shape) for p in graph.params if p.value.name.startswith("classifier"))
        assert end.params == graph.parameter_count - head
        assert end.nodes <= 1_024 and end.copies == 1 and end.frames == ()
    assert checked > 2_000


def test_every_sample_runs_exports_and_trains() -> None:
    space = spaces.get("einspace", max_nodes=200, max_params=300_000, max_elements=2**15)  # quick to compute
    rng, options = np.random.default_rng(5), onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    for number in range(40):
        graph = space.build(space.sample(rng), X, Y).graph
        graph = graph.with_store(graph.store.initialise(graph, number))
        x = rng.standard_normal((2, *SHAPE)).astype(np.float32)
        (here,) = graph.run(x)
        model = to_onnx(graph.rebatch(2)).SerializeToString()
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        (there,) = session.run(None, {"x": x})
        module = to_torch(graph).eval()
        exact = to_torch(graph).double().eval()(torch.from_numpy(x).double()).detach().numpy()
        one = module(torch.from_numpy(x)).detach().numpy()
        # products of products lose digits: each is held against float64, within what float32 loses in the reference
        scale = float(np.abs(exact).max())
        bound = 1e-4 * scale + 20 * float(np.abs(here - exact).max())
        assert np.abs(here - exact).max() <= 0.2 * scale
        assert np.abs(there - exact).max() <= bound
        assert np.abs(one - exact).max() <= bound
        module.train()
        optimiser = torch.optim.SGD(module.parameters(), lr=1e-3)
        before = [p.detach().clone() for p in module.parameters()]
        functional.cross_entropy(module(torch.from_numpy(x)), torch.tensor([0, 1])).backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimiser.step()
        assert any(not torch.equal(a, b) for a, b in zip(before, module.parameters(), strict=True))


@pytest.mark.parametrize("kernel", ["1-1-0", "1-2-0", "3-1-1", "3-2-1", "4-4-0", "8-8-0", "16-16-0"])
@pytest.mark.parametrize("shape", [(3, 28, 28), (2, 17, 22)])
def test_im2col_is_torchs_unfold(kernel: str, shape: tuple[int, int, int]) -> None:
    graph = graph_of(routed(f"im2col-{kernel}", compute("identity")), shape)
    columns = next(v for v in reversed(list(graph.values())) if v.name.startswith("columns"))
    x = np.random.default_rng(0).standard_normal((2, *shape)).astype(np.float32)
    graph = graph.with_store(graph.store.initialise(graph, 0))
    size, stride, padding = map(int, kernel.split("-"))
    expected = functional.unfold(torch.from_numpy(x), size, 1, padding, stride).transpose(1, 2)
    assert np.array_equal(graph.runner().trace(x)[columns], expected.numpy())


def test_im2col_linear_col2im_is_one_convolution_with_the_same_result() -> None:
    fused = graph_of(sequence(convolution(16, "3-2-1"), compute("leaky-relu")))
    apart = graph_of(sequence(routed("im2col-3-2-1", sequence(compute("linear-16"), compute("identity")), "col2im"),
                              compute("leaky-relu")))
    assert [type(node.op) for node in fused.nodes].count(Conv) == 1
    assert not any(isinstance(node.op, Conv) for node in apart.nodes)
    assert fused.parameter_count == apart.parameter_count
    fused, store = fused.with_store(fused.store.initialise(fused, 1)), apart.store.initialise(apart, 2)
    for one, other in zip(fused.params, (p for p in apart.params if p.trainable), strict=True):
        store[other.tensor] = fused.store[one.tensor].reshape(other.value.shape)
    x = np.random.default_rng(0).standard_normal((2, *SHAPE)).astype(np.float32)
    assert np.abs(fused.run(x)[0] - apart.with_store(store).run(x)[0]).max() < 1e-5


def test_col2im_needs_the_grid_of_the_im2col_before_it() -> None:
    limits = Rules(100, 10**6, 10**6)
    state = limits.step(State((3, 28, 28)), "P", "im2col-4-4-0")
    assert state is not None and state.shape == (49, 48) and state.grid == (7, 7)
    assert "col2im" in limits.offers(state, "Q")
    assert "col2im" not in limits.offers(State((49, 48)), "Q")


def test_budgets_of_operations_parameters_and_elements_are_kept() -> None:
    space = spaces.get("einspace", shape=(4, 16, 16), max_nodes=20, max_params=3_000, max_elements=2_048, max_size=60)
    rng, largest, seen = np.random.default_rng(1), 0, Counter[str]()
    for _ in range(300):
        candidate = space.sample(rng)
        graph = space.build(candidate, Type((1, 4, 16, 16)), Y).graph
        stored = {p.value for p in graph.params}
        largest = max(largest, max(v.type.size for n in graph.nodes for v in n.outputs if v not in stored))
        head = sum(prod(p.value.shape) for p in graph.params if p.value.name.startswith("classifier"))
        assert graph.parameter_count - head <= 3_000
        assert len(candidate) <= 60
        seen.update(candidate.values())
    assert largest <= 4_096  # padding and pieces of layer norm may be larger than what the rules count, no more
    assert "linear-2048" not in seen and seen["linear-16"] > 10


def test_a_computation_is_drawn_at_32_percent_of_the_places_that_may_choose() -> None:
    space = spaces.get("einspace", max_size=5_000, max_nodes=100_000, max_params=10**12, max_elements=10**12)
    draw, drawn = stream(np.random.default_rng(11)), Counter[str]()

    def choose(address: str, domain: Domain) -> Any:
        value = domain.draw_prior(draw)
        if domain.contains("computation") and domain.size == 4:  # fewer where a dead end or the depth took some away
            drawn[value] += 1
        return value

    for _ in range(500):
        space.walk(choose)
    assert drawn.total() > 8_000
    assert abs(drawn["computation"] / drawn.total() - 0.32) < 0.02


@pytest.mark.parametrize(("probability", "children"), [(0.32, 0.68 * 13 / 9), (0.30, 0.70 * 13 / 9)])
def test_derivations_are_finite_at_32_percent_and_outgrow_any_cap_at_30(probability: float, children: float) -> None:
    """Without shapes: a module has (1 - p) / 3 * (2 + 4/3 + 1) modules in it on average."""
    machine = Machine(Grammar(rules(), "N", fixed={"M": {"computation": probability}}))
    draw, sizes = stream(np.random.default_rng(0)), []
    for _ in range(400):
        waiting, modules = ["N"], 0
        while waiting and modules < 20_000:
            symbol = waiting.pop()
            modules += symbol in ("M", "N")
            name = machine.domain(symbol, tuple(machine.grammar.rules[symbol])).draw_prior(draw)
            waiting += machine.symbols[symbol, name]
        sizes.append(modules)
    outgrown = float(np.mean(np.array(sizes) >= 20_000))
    if children < 1:
        assert outgrown == 0
        assert np.mean(sizes) < 4 * (1 + 13 / 9 / (1 - children))
    else:
        assert 0.01 < outgrown < 0.08


def test_the_same_seed_gives_the_same_candidates_in_another_process() -> None:
    code = ("import numpy as np; from netwright import spaces; s = spaces.get('einspace'); "
            "r = np.random.default_rng(9); c = [s.sample(r) for _ in range(20)]; "
            "print([x.key for x in c], s.mutate(c[3], r).key, s.crossover(c[4], c[5], r).key)")
    outputs = {subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                              env={**os.environ, "PYTHONHASHSEED": salt}).stdout for salt in ("1", "2")}
    rng = np.random.default_rng(9)
    here = [SPACE.sample(rng) for _ in range(20)]
    keys = [c.key for c in here], SPACE.mutate(here[3], rng).key, SPACE.crossover(here[4], here[5], rng).key
    assert outputs == {f"{keys[0]} {keys[1]} {keys[2]}\n"}


def test_the_space_survives_pickling_and_refuses_another_input() -> None:
    twin = pickle.loads(pickle.dumps(SPACE))
    assert type(twin) is type(SPACE)
    assert twin.sample(np.random.default_rng(2)) == SPACE.sample(np.random.default_rng(2))
    candidate = SPACE.sample(np.random.default_rng(0))
    with pytest.raises(UserError, match=r"for inputs \[3, 28, 28\], not \[1, 8, 8\]"):
        SPACE.build(candidate, Type((1, 1, 8, 8)), Y)
    with pytest.raises(UserError, match="images"):
        spaces.get("einspace", shape=(28, 28))
