"""Orion's thirteen kernels: text that comes back, the published operations, Core ML tools' types, PyTorch's values."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lowered import inputs_of
from orion_kernels import KERNELS, given

from netwright.devices.ane import profile
from netwright.devices.ane.device import lowered
from netwright.devices.ane.execute import prepare
from netwright.devices.ane.mil import difference, parse, to_text
from netwright.devices.ane.rules import lint
from netwright.devices.ane.simulator.kernel import written

sys.path.insert(0, str(Path(__file__).parents[2] / "models"))

from small_models import FAMILIES, filled

M4 = profile.load("m4max-orion")
PUBLISHED = {  # the training programs' outputs, in the order of the table
    "fwdAttn": ["wo", "q", "k", "v", "attn", "rms1"],
    "fwdFFN": ["w2", "h1", "h3", "gate", "rms2"],
    "ffnBwd": ["dx", "dh1", "dh3"],
    "sdpaBwd1": ["dV", "P", "dP"],
    "sdpaBwd2": ["dQ", "dK"],
    "qkvBwd": ["dx"],
}


def test_there_are_thirteen() -> None:
    assert len(KERNELS) == 13


@pytest.mark.parametrize("name", KERNELS)
def test_print_parse_print_is_identical_and_the_operations_are_those_of_the_table(name: str, tmp_path: Path) -> None:
    program = KERNELS[name].program(tmp_path)
    text = to_text(program)
    again = parse(text)
    assert again == program and to_text(again) == text and not difference(program, again)
    histogram = program.function().histogram()
    del histogram["const"]
    assert histogram == KERNELS[name].ops


@pytest.mark.parametrize("name", KERNELS)
def test_shapes_types_and_weights_are_those_of_core_ml_tools(name: str, tmp_path: Path) -> None:
    pytest.importorskip("coremltools")
    from core_ml_oracle import check

    program = KERNELS[name].program(tmp_path)
    assert check(program, tmp_path) == sum(KERNELS[name].ops.values())


@pytest.mark.parametrize("name", KERNELS)
def test_values_are_pytorchs_and_gradients_those_of_its_differentiation(name: str, tmp_path: Path) -> None:
    kernel = KERNELS[name]
    program = kernel.program(tmp_path)
    inputs = given(name)
    made = prepare(program, tmp_path, M4.numerics).run(inputs)
    wanted = kernel.reference(**{n: a.copy() for n, a in inputs.items()})
    assert name not in PUBLISHED or list(wanted) == PUBLISHED[name]
    for output, (label, want) in zip(program.function().outputs, wanted.items(), strict=True):
        assert made[output].shape == want.shape, label
        assert np.abs(made[output] - want).max() < 0.01 * np.abs(want).max(), label  # the catalogue's 1 %


def test_five_of_six_training_programs_return_in_another_order_than_the_engine_binds(tmp_path: Path) -> None:
    programs = {name: KERNELS[name].program(tmp_path / name) for name in PUBLISHED}
    broken = [n for n, p in programs.items() if "R3" in {f.rule.id for f in lint(p, M4)}]
    assert broken == list(PUBLISHED)[:-1]
    bound = sorted(programs["fwdAttn"].function().outputs)
    assert bound == ["attn_out", "k_conv", "q_conv", "rms1_out", "v_conv", "wo_conv"]


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f[0].__name__.rpartition(".")[2])
@pytest.mark.parametrize("kind", ["attention", "feed_forward", "project"])
def test_our_own_programs_of_a_layer_too(kind: str, family: Any, tmp_path: Path) -> None:
    pytest.importorskip("coremltools")
    from core_ml_oracle import check

    module, config = family
    graph = getattr(module, kind)(config, 0, 32, store=filled(module, config))
    made = lowered(graph, M4)
    text = to_text(made.program)
    assert to_text(parse(text)) == text and parse(text) == made.program
    written(made.weights, tmp_path)
    histogram: Counter[str] = made.program.function().histogram()
    llama = not module.__name__.endswith("gpt2")
    rotations = 2 if llama else 0  # of q and k, each a convolution with a permutation
    products = {"attention": (4 + rotations, 2), "feed_forward": (3 if llama else 2, 0), "project": (3, 0)}
    assert (histogram["conv"], histogram["matmul"]) == products[kind]
    assert check(made.program, tmp_path) > 10
    x = inputs_of(graph)[0]
    got = prepare(made.program, tmp_path, M4.numerics).run({made.inputs[0].variable: made.inputs[0].inwards(x)})
    for port, want in zip(made.outputs, graph.run(x)):
        assert np.abs(port.outwards(got[port.variable]) - want).max() < 0.01 * max(1, np.abs(want).max())
