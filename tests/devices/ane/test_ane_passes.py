"""The five passes, and the sixth that most profiles forbid: values stay, names of outputs stay."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from lowered import mlp
from mil_programs import Writer

from netwright.devices.ane import profile
from netwright.devices.ane.execute import prepare
from netwright.devices.ane.lower import lower
from netwright.devices.ane.mil import Program
from netwright.devices.ane.passes import bias, casts, dead, identity, optimise, sram, uniform
from netwright.devices.ane.simulator.kernel import written

STRICT = profile.load("strict")


def same(before: Program, after: Program, folder: Path) -> None:
    rng = np.random.default_rng(0)
    given = {v.name: rng.standard_normal(v.type.shape) for v in before.function().inputs}
    first, second = prepare(before, folder).run(given), prepare(after, folder).run(given)
    assert first.keys() == second.keys()
    assert all(first[k].tobytes() == second[k].tobytes() for k in first)


def test_identities_go_and_outputs_keep_their_names(tmp_path: Path) -> None:
    w = Writer(tmp_path)
    w.input("x", 1, 8, 1, 16)
    inner = w.op("relu", x=w.op("transpose", x=w.op("reshape", x="x", shape=[1, 8, 1, 16]), perm=[0, 1, 2, 3]))
    first = w.op("identity", result="a_out", x=w.op("identity", x=inner))
    second = w.op("abs", result="b_out", x=w.op("cast", x=inner, dtype="fp16"))
    before = w.program(first, second)
    after = optimise(before, STRICT)
    assert after.function().outputs == ("a_out", "b_out")
    assert after.function().histogram() == {"relu": 1, "abs": 1}
    same(before, after, tmp_path)


def test_an_output_that_is_an_input_keeps_its_identity(tmp_path: Path) -> None:
    w = Writer(tmp_path)
    w.input("x", 1, 8, 1, 16)
    before = w.program(w.op("identity", result="y", x="x"))
    assert identity.eliminate(before.function()) == before.function()


def test_two_outputs_of_one_value_both_stay(tmp_path: Path) -> None:
    w = Writer(tmp_path)
    w.input("x", 1, 8, 1, 16)
    made = w.op("relu", result="a", x="x")
    before = w.program(made, w.op("identity", result="b", x=made), w.op("identity", result="c", x=made))
    after = optimise(before, STRICT)
    assert after.function().outputs == ("a", "b", "c")
    same(before, after, tmp_path)


def test_only_casts_that_lose_nothing_are_fused(tmp_path: Path) -> None:
    w = Writer(tmp_path)
    w.input("x", 1, 8, 1, 16, dtype="fp16")
    w.input("y", 1, 8, 1, 16, dtype="fp32")
    widened = w.op("cast", x=w.op("cast", x="x", dtype="fp32"), dtype="fp16")
    narrowed = w.op("cast", result="kept", x=w.op("cast", x="y", dtype="fp16"), dtype="fp32")
    before = w.program(w.op("relu", result="a", x=widened), narrowed)
    after = optimise(before, STRICT)
    assert after.function().histogram()["cast"] == 2  # the published pass would drop these too, and change values
    assert casts.fuse(before.function()).histogram()["cast"] == 3
    same(before, after, tmp_path)


def test_dead_code_goes_with_its_constants(tmp_path: Path) -> None:
    w = Writer(tmp_path)
    w.input("x", 1, 8, 1, 16)
    w.linear("x", np.ones((4, 8)))
    before = w.program(w.op("relu", x="x"))
    assert dead.eliminate(before.function()).histogram() == {"relu": 1}


def test_bias_is_fused_only_where_the_profile_takes_it(tmp_path: Path) -> None:
    loose = replace(STRICT, rules={**STRICT.rules, "R16": replace(STRICT.rules["R16"], state="does not hold")})
    made = lower(mlp(), STRICT)
    kept, fused = (optimise(made.program, p) for p in (STRICT, loose))
    assert kept.function().histogram()["add"] == 2 and fused.function().histogram()["add"] == 0
    assert fused.function().outputs == kept.function().outputs
    written(made.weights, tmp_path)
    x = {made.inputs[0].variable: np.random.default_rng(0).standard_normal((1, 32, 1, 1))}
    (a,), (b,) = (prepare(p, tmp_path).run(x).values() for p in (kept, fused))
    assert np.abs(a - b).max() < 0.005  # one rounding fewer
    assert bias.fuse(fused.function()) == fused.function()


def test_working_set_and_uniform_allocation(tmp_path: Path) -> None:
    w = Writer(tmp_path)
    w.input("x", 1, 8, 1, 16)
    function = w.program(w.linear("x", np.ones((4, 8))), w.op("relu", x="x")).function()
    assert sram.weight_bytes(function) == 64
    assert sram.working_set(function) == 64 + 256 + 128 + 256
    assert uniform.allocation(function.inputs) == 49_152
    wide = Writer(tmp_path / "b")
    wide.input("x", 1, 768, 1, 64)
    assert uniform.allocation(wide.inputs) == 768 * 64 * 2


def test_passes_are_idempotent() -> None:
    once = optimise(lower(mlp(), STRICT).program, STRICT)
    assert optimise(once, STRICT) == once
