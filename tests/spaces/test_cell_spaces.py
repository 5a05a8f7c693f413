"""DARTS, NASNet, EEEA and Once-for-all: published counts and sizes, wiring, training and deployment."""

from __future__ import annotations

import ast
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from netwright import devices, spaces
from netwright.compress.quantise import integer_inputs, quantise
from netwright.estimate.tables.files import read
from netwright.graph import Graph, Type
from netwright.graph.torch import from_numpy, to_torch
from netwright.spaces import blocks, cells
from netwright.spaces.zoo import darts, nasnet, ofa_mobilenetv3

SMALL: dict[str, dict[str, Any]] = {
    "nb201": {"channels": 4, "cells": 1},
    "darts": {"channels": 4, "cells": 3},
    "eeea": {"channels": 4, "cells": 4},
    "nasnet": {"channels": 4, "repeats": 1},
    "ofa-mobilenetv3": {"width": 0.1},
}
DARTS_V2 = darts.candidate(  # Liu et al. 2019, figure 4 and 5
    normal=(
        ("sep_conv_3x3", 0), ("sep_conv_3x3", 1), ("sep_conv_3x3", 0), ("sep_conv_3x3", 1),
        ("sep_conv_3x3", 1), ("skip_connect", 0), ("skip_connect", 0), ("dil_conv_3x3", 2),
    ),
    reduction=(
        ("max_pool_3x3", 0), ("max_pool_3x3", 1), ("skip_connect", 2), ("max_pool_3x3", 1),
        ("max_pool_3x3", 0), ("skip_connect", 2), ("skip_connect", 2), ("max_pool_3x3", 1),
    ),
)


def images(side: int, channels: int = 3) -> Type:
    return Type((1, channels, side, side))


def test_counts_are_the_published_ones() -> None:
    one = 1 * 3 * 6 * 10 * 7**8
    assert spaces.get("darts").count() == one**2 and round(math.log10(one)) == 9
    assert spaces.get("nasnet").count() == 2286906949584691200**2
    assert spaces.get("eeea").count() == math.prod((10 * states) ** 2 for states in (2, 3, 4, 5)) ** 2
    assert spaces.get("ofa-mobilenetv3").count() == 7371**5 == 21_758_655_492_572_485_851
    assert spaces.get("ofa-mobilenetv3", resolutions=range(128, 225, 4)).count() == 25 * 7371**5


def test_one_block_and_three_operations_of_nasnet_enumerate_to_the_closed_form() -> None:
    space = spaces.get("nasnet", blocks=1, ops=("identity", "conv_3x3", "max_pool_3x3"))
    assert len(set(space.enumerate())) == space.count() == (2**2 * 3**2 * 2) ** 2


@pytest.mark.parametrize(("side", "classes", "given", "millions"), [
    (32, 10, {}, 3.3),
    (224, 1000, {"channels": 48, "cells": 14, "stem": "imagenet"}, 4.7),
])
def test_darts_v2_has_its_published_size(side: int, classes: int, given: dict[str, Any], millions: float) -> None:
    space = spaces.get("darts", **given)
    graph = space.build(space.validate(DARTS_V2), images(side), Type((1, classes))).graph
    assert graph.parameter_count / 1e6 == pytest.approx(millions, rel=0.02)


@pytest.mark.parametrize(("side", "given", "millions", "macs"), [
    (224, {"channels": 44, "repeats": 4, "stem": 32}, 5.3, 564e6),  # 4 @ 1056
    (331, {"channels": 168, "repeats": 6, "stem": 96, "skipping": True}, 88.9, 23.8e9),  # 6 @ 4032
    (32, {"channels": 32, "repeats": 6}, 3.3, None),  # 6 @ 768
])
def test_nasnet_a_has_its_published_sizes(side: int, given: dict[str, Any], millions: float, macs: float | None) -> None:
    space = spaces.get("nasnet", also=nasnet.RELEASED, **given)
    outputs = Type((1, 1000 if side > 32 else 10))
    graph = space.build(space.validate(nasnet.NASNET_A), images(side), outputs).graph
    assert graph.parameter_count / 1e6 == pytest.approx(millions, rel=0.02)
    if macs is not None:
        assert graph.macs == pytest.approx(macs, rel=0.03)


def test_unused_outputs_are_concatenated_and_strides_stand_on_the_cells_inputs_only() -> None:
    space, rng = spaces.get("nasnet"), np.random.default_rng(0)
    style = cells.Style(nasnet.OPS, "unused", adapt=False)
    for _ in range(150):
        plan = space.decode(space.sample(rng))["normal"]
        for reduction in (False, True):
            b, x = blocks.start("cell", images(8, 6))
            y = cells.cell(b, plan, x, x, 4, reduction, style)
            assert y.shape == (1, 4 * len(plan.unused), *(4 if reduction else 8,) * 2)
            b.output(y)
            for node in b.graph().nodes:
                if max(getattr(node.op, "stride", ()) or (1,)) == 2:
                    assert "from0" in node.name or "from1" in node.name


def test_once_for_all_equals_the_recorded_parameters_and_macs(shared_data: Path) -> None:
    table = read(shared_data / "dynast-ofa" / "dynast_ofa_mbv3_w10.parquet", ["arch", "params", "macs"])
    space, y = spaces.get("ofa-mobilenetv3"), Type((1, 1000))
    for row in np.random.default_rng(0).permutation(len(table["arch"]))[:150]:
        arch = ast.literal_eval(table["arch"][row])
        trace: dict[str, Any] = {}
        for unit, depth in enumerate(arch["d"]):
            trace[f"units/{unit}.count"] = depth
            for place in range(depth):
                trace[f"units/{unit}/{place}/kernel"] = arch["ks"][4 * unit + place]
                trace[f"units/{unit}/{place}/expand"] = arch["e"][4 * unit + place]
        graph = space.build(space.validate(trace), images(arch["r"][0]), y).graph
        assert (graph.parameter_count, graph.macs) == (table["params"][row], table["macs"][row])


def test_all_depth_four_is_rare_by_decision_and_common_by_candidate() -> None:
    space, rng = spaces.get("ofa-mobilenetv3"), np.random.default_rng(0)

    def share(by: str) -> float:
        drawn = [space.sample(rng, by) for _ in range(4000)]
        return float(np.mean([all(c[f"units/{unit}.count"] == 4 for unit in range(5)) for c in drawn]))

    # exact: (1/3)^5 = 0.41 % and (9^4 / 7371)^5 = 55.9 %; five standard deviations of 4,000 draws
    assert share("decision") == pytest.approx(1 / 3**5, abs=5 * math.sqrt(0.0041 / 4000))
    assert share("candidate") == pytest.approx((6561 / 7371) ** 5, abs=5 * 0.5 / math.sqrt(4000))


def test_resolution_is_a_decision_where_it_is_given() -> None:
    space = spaces.get("ofa-mobilenetv3", width=0.1, resolutions=(32, 64))
    candidate = space.repair({"resolution": 64}, np.random.default_rng(0))
    assert space.build(candidate, images(100), Type((1, 3))).graph.inputs[0].shape == (1, 3, 64, 64)
    assert len(ofa_mobilenetv3.UNITS) == 5


def trained(graph: Graph) -> float:
    """The change of the loss on one batch by one step down the gradient."""
    module = to_torch(graph).train()
    x = from_numpy(np.random.default_rng(0).standard_normal((4, *graph.inputs[0].shape[1:])).astype(np.float32))
    y = torch.tensor([0, 1, 2, 3])
    optimiser = torch.optim.SGD(module.parameters(), 1e-4)
    losses = []
    for _ in range(2):
        optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(module(x), y)
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    return losses[1] - losses[0]


@pytest.mark.parametrize("name", sorted(SMALL))
def test_samples_train_and_keep_a_microcontrollers_rules(name: str) -> None:
    space, rng = spaces.get(name, **SMALL[name]), np.random.default_rng(3)
    device = devices.get("cortex-m4", ram="256KB", flash="1MB")
    for _ in range(4):
        side = 64 if name == "ofa-mobilenetv3" else 16  # it divides by 32, and batch norm wants more than one pixel
        graph = space.build(space.sample(rng), images(side), Type((1, 5))).graph
        assert device.check(graph) == []
        assert trained(graph) < 0


@pytest.mark.parametrize("name", sorted(SMALL))
def test_a_sample_runs_bit_exactly_on_the_emulated_core(name: str, tmp_path: Path) -> None:
    space, rng = spaces.get(name, **SMALL[name]), np.random.default_rng(5)
    graph = space.build(space.sample(rng), images(8), Type((1, 5))).graph
    graph = graph.with_store(graph.store.initialise(graph, 1))
    x = rng.standard_normal((8, *graph.inputs[0].shape[1:])).astype(np.float32)
    whole = quantise(graph, x)
    program = devices.get("cortex-m4", ram="256KB", flash="1MB").compile(whole, out=tmp_path)
    (given,) = integer_inputs(graph, whole, x[:1])
    (there,), (expected,) = program.run(given), whole.run(given)
    np.testing.assert_array_equal(there, expected)


@given(st.sampled_from(sorted(SMALL)), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_mutants_and_children_of_every_space_stay_in_it_and_come_back_from_json(name: str, seed: int) -> None:
    space, rng = spaces.get(name), np.random.default_rng(seed)
    one, two = space.sample(rng), space.sample(rng, "candidate")
    mutant, child = space.mutate(one, rng, number=2), space.crossover(one, two, rng)
    for candidate in (one, two, mutant, child):
        assert space.validate(type(candidate).from_json(candidate.to_json())) == candidate
    part = next(iter(one)).split("/")[0]
    inside = space.mutate(one, rng, within=part)
    assert {a: v for a, v in inside.items() if not a.startswith(part)} == {
        a: v for a, v in one.items() if not a.startswith(part)}
