"""The catalogue: for every rule a program that breaks it, one that keeps it, and what the simulated device does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lowered import mlp
from mil_programs import Writer, attention, causal, gelu_tanh, rms_norm, swiglu

from netwright.devices.ane import profile
from netwright.devices.ane.execute import prepare
from netwright.devices.ane.mil import (
    BlobFile,
    Constant,
    Function,
    Program,
    Statement,
    TensorType,
    Variable,
    boolean,
    string,
    to_text,
)
from netwright.devices.ane.profile import AneProfile
from netwright.devices.ane.rules import BY_ID, RULES, Sight, findings, lint
from netwright.devices.ane.simulator import BAD_SURFACE, OK, Crash, Handle, Kernel, Refused, Simulator, Surface
from netwright.devices.ane.simulator.kernel import named_files
from netwright.errors import UserError

M4 = profile.load("m4max-orion")
M1 = profile.load("m1-a13")
BIG = 49_152
rng = np.random.default_rng(0)


def with_rule(rule: str, state: str, base: AneProfile = M4) -> AneProfile:
    return replace(base, rules={**base.rules, rule: replace(base.rules[rule], state=state)})


def files(program: Program, folder: Path) -> dict[str, bytes]:
    return {p: (folder / p).read_bytes() for p in named_files(program)}


def ids(program: Program, chosen: AneProfile = M4) -> set[str]:
    return {f.rule.id for f in lint(program, chosen)}


def program(folder: Path, make: Callable[[Writer], str | tuple[str, ...]], *shape: int) -> Program:
    w = Writer(folder)
    w.input("x", *(shape or (1, 64, 1, 512)))
    made = make(w)
    return w.program(*(made if isinstance(made, tuple) else (made,)))


def loaded(program: Program, folder: Path, chosen: AneProfile = M4) -> tuple[Simulator, Handle]:
    sim = Simulator(chosen)
    handle = sim.compile(to_text(program).encode(), files(program, folder))
    sim.load(handle)
    return sim, handle


def outputs(program: Program, folder: Path, x: np.ndarray, chosen: AneProfile = M4) -> tuple[Simulator, list[np.ndarray]]:
    """What the simulator gives for x, bound and sized as it should be."""
    sim, handle = loaded(program, folder, chosen)
    function = program.function()
    types = function.types()
    size = max([BIG, *(types[o].bytes for o in function.outputs)])
    ins = [Surface(max(BIG, function.inputs[0].type.bytes))]
    ins[0].write(x, "fp16")
    outs = [Surface(size) for _ in function.outputs]
    assert sim.evaluate(handle, ins, outs) == OK
    return sim, [s.read(types[o]) for s, o in zip(outs, sorted(function.outputs))]


def inline_flags(w: Writer) -> str:
    made = w.op("matmul", x="x", y="x", transpose_x=False, transpose_y=True)
    last = w.statements[-1]
    args = tuple((k, boolean(k == "transpose_y") if k.startswith("transpose") else a) for k, a in last.args)
    w.statements[-1] = replace(last, args=args)
    return made


def conv_with_bias(w: Writer) -> str:
    bias = w.weight(rng.standard_normal(8))
    return w.op("conv", weight=w.weight(rng.standard_normal((8, 64, 1, 1))), x="x", bias=bias, pad_type="valid",
                strides=[1, 1], pad=[0, 0, 0, 0], dilations=[1, 1], groups=1)


def published_rms_norm(w: Writer) -> str:
    total = w.op("reduce_sum", x=w.op("mul", x="x", y="x"), axes=[1], keep_dims=True)
    scale = w.op("pow", x=w.op("add", x=w.op("mul", x=total, y=1 / 64), y=1e-5), y=-0.5)
    return w.op("mul", x="x", y=scale)


# rule: a program that breaks it, one that does the same and keeps it
COMPILE: dict[str, tuple[Any, Any]] = {
    "R1": (lambda w: w.op("concat", values=("x", "x"), axis=1, interleave=False), lambda w: (w.op("relu", x="x"), w.op("abs", x="x"))),
    "R10": (lambda w: w.op("gelu", x="x", mode="TANH_APPROXIMATION"), lambda w: gelu_tanh(w, "x")),
    "R15": (inline_flags, lambda w: w.op("matmul", x="x", y="x", transpose_x=False, transpose_y=True)),
    "R16": (conv_with_bias, lambda w: w.op("add", x=w.linear("x", rng.standard_normal((8, 64))), y=w.weight(np.ones((1, 8, 1, 1))))),
    "R17": (lambda w: (w.op("relu", x="x"), "gone"), lambda w: w.op("relu", x="x")),
    "L6": (lambda w: w.op("mul", x=w.op("reduce_max", x="x", axes=[1], keep_dims=True), y=0.0), lambda w: w.op("mul", x="x", y=0.0)),
    "N2": (lambda w: w.op("cumsum", x="x", axis=1, exclusive=False, reverse=False), lambda w: w.op("relu", x="x")),
    "L4": (lambda w: w.op("cast", x="x", dtype="int32"), lambda w: w.op("cast", x="x", dtype="fp32")),
}


@pytest.mark.parametrize("rule", COMPILE)
def test_what_the_compiler_refuses(rule: str, tmp_path: Path) -> None:
    chosen = profile.load("m5-baked") if rule.startswith(("L", "N")) else M4
    chosen = with_rule(rule, "holds", chosen) if rule in chosen.rules else replace(
        chosen, rules={**chosen.rules, rule: chosen.rules["R1"]})
    breaks, keeps = (program(tmp_path / n, make) for n, make in zip("ab", COMPILE[rule]))
    assert rule in ids(breaks, chosen) and rule not in ids(keeps, chosen)
    with pytest.raises(Refused, match=rule) as caught:
        loaded(breaks, tmp_path / "a", chosen)
    assert caught.value.device_text == ("invalid program" if rule == "R17" else "")
    loaded(keeps, tmp_path / "b", chosen)
    if rule not in ("R17", "N2", "L4"):  # without the rule it compiles: the refusal is the rule's doing
        loaded(breaks, tmp_path / "a", with_rule(rule, "does not hold", chosen))


def test_R2_outputs_of_two_sizes_are_refused_when_they_are_evaluated(tmp_path: Path) -> None:
    made = program(tmp_path, lambda w: (w.linear("x", rng.standard_normal((64, 64))), w.linear("x", rng.standard_normal((128, 64)))))
    assert "R2" in ids(made) and "R2" not in ids(program(tmp_path / "b", lambda w: w.op("relu", x="x")))
    sim, handle = loaded(made, tmp_path)
    source = [Surface(64 * 512 * 2)]
    assert sim.evaluate(handle, source, [Surface(64 * 512 * 2), Surface(128 * 512 * 2)]) == BAD_SURFACE == 0x1D
    assert sim.log[-1].startswith("R2: outputs: bytes differ")
    assert sim.evaluate(handle, source, [Surface(128 * 512 * 2), Surface(128 * 512 * 2)]) == OK


def test_R3_outputs_come_in_alphabetical_order(tmp_path: Path) -> None:
    made = program(tmp_path, lambda w: (w.op("relu", result="later", x="x"), w.op("abs", result="earlier", x="x")))
    kept = program(tmp_path / "b", lambda w: (w.op("relu", result="a", x="x"), w.op("abs", result="b", x="x")))
    assert "R3" in ids(made) and "R3" not in ids(kept)
    x = -np.ones((1, 64, 1, 512), np.float16)
    sim, (first, second) = outputs(made, tmp_path, x)
    assert first.max() == 1 and second.max() == 0  # abs first: the wrong data for who binds in return order
    assert any(line.startswith("R3") for line in sim.log)
    _, (first, second) = outputs(made, tmp_path, x, with_rule("R3", "does not hold"))
    assert first.max() == 0 and second.max() == 1


def test_R4_small_surfaces_are_refused(tmp_path: Path) -> None:
    made = program(tmp_path, lambda w: w.op("relu", x="x"), 1, 576, 1, 16)
    assert "R4" in ids(made) and "R4" not in ids(program(tmp_path, lambda w: w.op("relu", x="x")))
    sim, handle = loaded(made, tmp_path)
    assert sim.evaluate(handle, [Surface(576 * 32)], [Surface(BIG)]) == BAD_SURFACE
    assert sim.evaluate(handle, [Surface(BIG - 1)], [Surface(BIG)]) == BAD_SURFACE
    assert sim.evaluate(handle, [Surface(BIG)], [Surface(BIG)]) == OK


def test_R5_compiles_are_counted_and_run_out(tmp_path: Path) -> None:
    made = program(tmp_path, lambda w: w.op("relu", x="x"))
    sim = Simulator(M4)
    for _ in range(M4.compile_budget):
        sim.delete(sim.compile(to_text(made).encode(), {}))
    with pytest.raises(Refused, match=r"R5: process: compile 120 of 119"):
        sim.compile(to_text(made).encode(), {})
    assert sim.compiles == 120


def test_R6_the_fused_attention_op_ignores_its_mask(tmp_path: Path) -> None:
    shape = (1, 2, 32, 16)

    def fused(w: Writer) -> str:
        return w.op("scaled_dot_product_attention", query="x", key="x", value="x", attn_mask=w.weight(causal(32)[None, None]))

    made = program(tmp_path, fused, *shape)
    spelled = program(tmp_path / "b", lambda w: attention(w, "x", "x", "x", 2, causal(32)), 1, 32, 1, 32)
    assert "R6" in ids(made) and "R6" not in ids(spelled)
    x = rng.standard_normal(shape).astype(np.float16)
    masked = prepare(made, tmp_path).run({"x": x})[made.function().outputs[0]]
    _, (got,) = outputs(made, tmp_path, x)
    _, (right,) = outputs(made, tmp_path, x, with_rule("R6", "does not hold"))
    assert (right == masked).all() and np.abs(got - masked).max() > 0.1


@pytest.mark.parametrize(("name", "applies"), [("m4max-orion", True), ("m5-baked", False)])
def test_R7_overwriting_does_nothing_and_reload_depends_on_the_profile(name: str, applies: bool, tmp_path: Path) -> None:
    chosen = profile.load(name)
    before, after = (program(tmp_path / n, lambda w, s=s: w.linear("x", s * np.eye(64))) for n, s in (("a", 1), ("b", 2)))
    sim, handle = loaded(before, tmp_path / "a", chosen)
    source, result = Surface(64 * 512 * 2), Surface(64 * 512 * 2)
    source.write(np.ones((1, 64, 1, 512)), "fp16")

    def value() -> float:
        assert sim.evaluate(handle, [source], [result]) == OK
        return float(result.read(TensorType("fp16", (1, 64, 1, 512))).max())

    assert value() == 1
    new = files(after, tmp_path / "b")
    sim.overwrite(handle, new)
    assert value() == 1 and sim.log[-1].startswith("R7")
    sim.reload(handle, new)
    assert value() == (2 if applies else 1)
    assert sim.compiles == 1


def test_a_patched_program_equals_a_fresh_compile_and_counts_as_none(tmp_path: Path) -> None:
    weights = [rng.standard_normal((64, 64)) for _ in range(2)]
    first, second = (program(tmp_path / n, lambda w, m=m: w.linear("x", m)) for n, m in zip("ab", weights))
    x = rng.standard_normal((1, 64, 1, 512)).astype(np.float16)
    sim, handle = loaded(first, tmp_path / "a")
    patched = sim.patch(handle, files(second, tmp_path / "b"))
    source, results = Surface(64 * 512 * 2), [Surface(64 * 512 * 2) for _ in range(2)]
    source.write(x, "fp16")
    fresh = outputs(second, tmp_path / "b", x)[1][0]
    for each, result in zip((patched, handle), results):
        assert sim.evaluate(each, [source], [result]) == OK
    assert results[0].read(TensorType("fp16", x.shape)).tobytes() == fresh.tobytes()
    assert results[1].bytes.tobytes() != results[0].bytes.tobytes() and sim.compiles == 1
    several, handle = loaded(program(tmp_path / "c", lambda w: swiglu(w, "x", *np.zeros((3, 64, 64)))), tmp_path / "c")
    with pytest.raises(UserError, match="one weight"):
        several.patch(handle, files(handle.program, tmp_path / "c"))


def test_five_of_the_six_published_training_programs_break_R3() -> None:
    """Outputs in the order of the published table (Orion 2026, section 9), by its names; fwdAttn by its emitted ones."""
    returned = {
        "fwdAttn": ("wo_conv", "q_conv", "k_conv", "v_conv", "attn_out", "rms1_out"),
        "fwdFFN": ("w2", "h1", "h3", "gate", "rms2"),
        "ffnBwd": ("dx", "dh1", "dh3"),
        "sdpaBwd1": ("dV", "P", "dP"),
        "sdpaBwd2": ("dQ", "dK"),
        "qkvBwd": ("dx",),
    }
    kind = TensorType("fp16", (1, 8, 1, 8))
    broken = []
    for name, names in returned.items():
        statements = tuple(
            Statement((Variable(n, kind),), "identity", (("x", "x"),), (("name", string(n)),)) for n in names)
        function = Function("main", "ios18", (Variable("x", kind),), statements, names)
        broken += [name for f in lint(Program((function,)), M4) if f.rule.id == "R3"]
    assert broken == ["fwdAttn", "fwdFFN", "ffnBwd", "sdpaBwd1", "sdpaBwd2"]


@pytest.mark.parametrize("offset", (0, 128))
def test_R8_a_wrong_offset_reads_garbage(offset: int, tmp_path: Path) -> None:
    good = program(tmp_path, lambda w: w.linear("x", np.eye(64)))

    def moved(statement: Statement) -> Statement:
        changed = tuple((k, replace(v, offset=offset) if isinstance(v, BlobFile) else v) for k, v in statement.attributes)
        return replace(statement, attributes=changed)

    function = good.function()
    bad = replace(good, functions=(replace(function, statements=tuple(map(moved, function.statements))),))
    assert "R8" in ids(bad) and "R8" not in ids(good)
    x = np.ones((1, 64, 1, 512), np.float16)
    sim, (got,) = outputs(bad, tmp_path, x)
    _, (right,) = outputs(good, tmp_path, x)
    assert (right == 1).all() and not (got == 1).all()
    assert any(line.startswith("R8") for line in sim.log)


def test_R9_and_R11_crash_the_process(tmp_path: Path) -> None:
    text = to_text(program(tmp_path, lambda w: w.op("relu", x="x")))
    with pytest.raises(Crash, match="R9: text: a str"):
        Simulator(M4).compile(text, {})
    with pytest.raises(Crash, match="R11: weights: null"):
        Simulator(M4).compile(text.encode(), None)
    assert Simulator(M4).compile(text.encode(), {}).program


def two_inputs(folder: Path) -> Program:
    w = Writer(folder)
    w.input("z", 1, 64, 1, 512)
    w.input("a", 1, 32, 1, 512)
    return w.program(w.op("sub", x=w.op("reduce_mean", x="z", axes=[1], keep_dims=True), y=w.op("reduce_mean", x="a", axes=[1], keep_dims=True)))


def test_R12_and_R13_inputs_need_one_size_and_come_in_alphabetical_order(tmp_path: Path) -> None:
    made = two_inputs(tmp_path)
    assert {"R12", "R13"} <= ids(made)
    assert not {"R12", "R13"} & ids(program(tmp_path, lambda w: w.op("relu", x="x")))
    sim, handle = loaded(made, tmp_path)
    small, large, other, result = Surface(BIG), Surface(64 * 512 * 2), Surface(64 * 512 * 2), Surface(BIG)
    assert sim.evaluate(handle, [small, large], [result]) == BAD_SURFACE and sim.log[-1].startswith("R12")
    large.write(np.full((1, 64, 1, 512), 3.0), "fp16")
    type = TensorType("fp16", (1, 1, 1, 512))
    assert sim.evaluate(handle, [other, large], [result]) == OK
    assert (result.read(type) == 3).all()  # a, then z
    assert sim.evaluate(handle, [large, other], [result]) == OK
    assert (result.read(type) == -3).all()  # bound as declared: silently the wrong way round


def test_R14_large_surfaces_are_read_packed(tmp_path: Path) -> None:
    made = program(tmp_path, lambda w: w.op("identity", x="x"), 1, 64, 1, 16)
    sim, handle = loaded(made, tmp_path)
    x = np.arange(64 * 16, dtype=np.float16).reshape(1, 64, 1, 16)
    packed, strided, result = Surface(BIG), Surface(BIG), Surface(BIG)
    packed.write(x, "fp16")
    strided.write(x, "fp16", stride=32)
    assert sim.evaluate(handle, [packed], [result]) == OK
    assert (result.read(TensorType("fp16", x.shape)) == x).all()
    assert sim.evaluate(handle, [strided], [result]) == OK
    assert (result.read(TensorType("fp16", x.shape)) != x).sum() > 900
    function = made.function()
    assert BY_ID["R14"].findings(Sight(function, M4, written={"x": (32, 16)}))
    assert not BY_ID["R14"].findings(Sight(function, M4, written={"x": (16, 16)}))


def test_R18_beyond_the_on_chip_memory_it_is_slower(tmp_path: Path) -> None:
    small = program(tmp_path, lambda w: w.linear("x", np.zeros((64, 64))))
    blob = BlobFile(TensorType("fp16", (20_000, 1024, 1, 1)), "@model_path/w.bin", 64)
    w = Writer(tmp_path)
    w.input("x", 1, 1024, 1, 64)
    big = w.program(w.op("conv", weight=w.const(blob), x="x", pad_type="valid", strides=[1, 1], pad=[0, 0, 0, 0], dilations=[1, 1], groups=1))
    assert "R18" in ids(big) and "R18" not in ids(small)
    latency = M4.latency
    fits, spills = (latency.ms(1e9, 4e7, size) - latency.dispatch_ms for size in (latency.sram_bytes, latency.sram_bytes + 1))
    assert spills == pytest.approx(1.3 * fits)
    elapsed = []  # and so an evaluation takes longer, on an engine whose memory the program does not fit
    for sram in (latency.sram_bytes, 1000):
        sim, handle = loaded(small, tmp_path, replace(M4, latency=replace(latency, sram_bytes=sram)))
        before = sim.elapsed_ms
        assert sim.evaluate(handle, [Surface(4 * BIG)], [Surface(4 * BIG)]) == OK
        elapsed.append(sim.elapsed_ms - before - latency.dispatch_ms)
    assert elapsed[1] == pytest.approx(1.3 * elapsed[0])
    assert any(line.startswith("R18") for line in sim.log)


def test_R19_every_call_pays_its_dispatch(tmp_path: Path) -> None:
    tiny = program(tmp_path, lambda w: w.op("relu", x="x"), 1, 8, 1, 8)
    assert "R19" in ids(tiny)
    sim, handle = loaded(tiny, tmp_path)
    before = sim.elapsed_ms
    sim.evaluate(handle, [Surface(BIG)], [Surface(BIG)])
    assert sim.elapsed_ms - before == pytest.approx(0.095, rel=0.01)
    deep = program(tmp_path / "deep", lambda w: [h := "x", *[h := w.linear(h, np.zeros((512, 512))) for _ in range(40)]][-1], 1, 512, 1, 512)
    assert "R19" not in ids(deep)


def test_R20_the_published_norm_overflows_and_the_scaled_one_does_not(tmp_path: Path) -> None:
    published = program(tmp_path, published_rms_norm)
    safe = program(tmp_path / "b", lambda w: rms_norm(w, "x", np.ones(64)))
    assert "R20" in ids(published) and "R20" not in ids(safe)
    x = np.full((1, 64, 1, 512), 40.0, np.float16)
    _, (bad,) = outputs(published, tmp_path, x)
    _, (good,) = outputs(safe, tmp_path / "b", x)
    assert (bad == 0).all() and np.allclose(good, 1, atol=1e-2)  # the sum is infinite, its inverse root 0


def test_F1_a_transposed_gradient_is_seen_where_shapes_tell(tmp_path: Path) -> None:
    def gradient(w: Writer, right: bool) -> str:
        w.weight(np.zeros((64, 32)))  # [out, in]
        w.statements[-1] = replace(w.statements[-1], results=(Variable("W1", TensorType("fp16", (64, 32))),))
        w.types["W1"] = TensorType("fp16", (64, 32))
        dy, x = w.op("reshape", x="x", shape=[64, 512]), w.weight(np.zeros((32, 512)))
        left, other = (dy, x) if right else (x, dy)
        return w.op("matmul", result="dW1", x=left, y=other, transpose_x=False, transpose_y=True)

    good, bad = (program(tmp_path / str(r), lambda w, r=r: gradient(w, r)) for r in (True, False))
    assert "F1" in ids(bad) and "F1" not in ids(good)
    assert "[32, 64], the weight is [64, 32]" in str(next(f for f in lint(bad, M4) if f.rule.id == "F1"))


LIMITS: dict[str, tuple[Any, tuple[int, ...], Any, tuple[int, ...]]] = {
    "L1": (lambda w: w.op("relu", x="x"), (1, 2, 2, 2, 2, 2), lambda w: w.op("relu", x="x"), (1, 2, 2, 2, 2)),
    "L2": (lambda w: w.op("relu", x="x"), (1, 65_537), lambda w: w.op("relu", x="x"), (1, 65_536)),
    "L3": (lambda w: w.conv("x", np.zeros((1, 1, 1, 14))), (1, 1, 1, 64), lambda w: w.conv("x", np.zeros((1, 1, 1, 13))), (1, 1, 1, 64)),
    "L8": (lambda w: w.op("slice_by_index", x="x", begin=[0, 0, 0, 1], end=[1, 8, 1, 64]), (1, 8, 1, 64),
           lambda w: w.op("slice_by_index", x="x", begin=[0, 1, 0, 0], end=[1, 8, 1, 64]), (1, 8, 1, 64)),
    "L9": (lambda w: w.op("reduce_sum", x="x", axes=[1], keep_dims=True), (1, 512, 1, 64),
           lambda w: w.op("reduce_mean", x="x", axes=[1], keep_dims=True), (1, 512, 1, 64)),
    "L10": (lambda w: swiglu(w, "x", *np.zeros((3, 8, 8))), (1, 8, 1, 64), lambda w: w.linear("x", np.zeros((8, 8))), (1, 8, 1, 64)),
    "L11": (lambda w: w.op("matmul", x="x", y="x", transpose_x=False, transpose_y=True), (1, 1, 8, 48),
            lambda w: w.op("matmul", x="x", y="x", transpose_x=False, transpose_y=True), (1, 1, 8, 64)),
    "L12": (lambda w: w.op("layer_norm", x="x", axes=[1], epsilon=1e-5), (1, 8193, 1, 1),
            lambda w: w.op("layer_norm", x="x", axes=[1], epsilon=1e-5), (1, 8192, 1, 1)),
}


@pytest.mark.parametrize("rule", LIMITS)
def test_later_limits(rule: str, tmp_path: Path) -> None:
    breaks, bad_shape, keeps, good_shape = LIMITS[rule]
    bad, good = program(tmp_path / "a", breaks, *bad_shape), program(tmp_path / "b", keeps, *good_shape)
    assert rule in ids(bad, M1) and rule not in ids(good, M1)
    if rule in ("L1", "L2", "L3", "L10", "L12"):
        with pytest.raises(Refused, match=rule):
            loaded(bad, tmp_path / "a", M1)
        loaded(good, tmp_path / "b", M1)


def test_L13_and_L14_bound_what_the_direct_entry_point_can_do(tmp_path: Path) -> None:
    direct = profile.load("m5-a16-direct")

    def fused(length: int) -> Program:
        def make(w: Writer) -> str:
            mask = w.weight(causal(length)[None, None])
            return w.op("scaled_dot_product_attention", query="x", key="x", value="x", attn_mask=mask)

        return program(tmp_path / str(length), make, 1, 1, length, 32)

    assert "L13" in ids(fused(512), direct) and not {"R6", "L13"} & ids(fused(256), direct)
    for length, right in ((256, True), (512, False)):
        x = rng.standard_normal((1, 1, length, 32)).astype(np.float16)
        made = fused(length)
        (want,) = prepare(made, tmp_path / str(length), direct.numerics).run({"x": x}).values()
        assert np.array_equal(outputs(made, tmp_path / str(length), x, direct)[1][0], want) is right
    two, three = (program(tmp_path, lambda w, n=n: w.op("concat", values=("x",) * n, axis=1, interleave=False)) for n in (2, 3))
    assert "L14" in ids(three, direct) and not {"R1", "L14"} & ids(two, direct)
    with pytest.raises(Refused, match="L14"):
        loaded(three, tmp_path, direct)
    loaded(two, tmp_path, direct)


def test_L5_two_gigabytes_of_weights_are_too_many(tmp_path: Path) -> None:
    w = Writer(tmp_path)
    w.input("x", 1, 65_536, 1, 1)
    blob = BlobFile(TensorType("fp16", (16_385, 65_536, 1, 1)), "@model_path/w.bin", 64)
    made = w.program(w.op("conv", weight=w.const(blob), x="x", pad_type="valid", strides=[1, 1], pad=[0, 0, 0, 0], dilations=[1, 1], groups=1))
    assert "L5" in ids(made, M1)


def test_L7_and_L8_change_numbers_where_the_profile_says_so(tmp_path: Path) -> None:
    product = program(tmp_path, lambda w: w.op("matmul", x="x", y="x", transpose_x=False, transpose_y=True), 1, 1, 8, 4096)
    x = np.full((1, 1, 8, 4096), 2.9, np.float16)  # products of about 34,400
    _, (narrow,) = outputs(product, tmp_path, x, M1)
    _, (wide,) = outputs(product, tmp_path, x, M4)
    assert np.isinf(narrow).all() and np.isfinite(wide).all()
    cut = program(tmp_path / "b", LIMITS["L8"][0], 1, 8, 1, 64)
    y = np.full((1, 8, 1, 64), 5000.0, np.float16)
    assert outputs(cut, tmp_path / "b", y, M1)[1][0].max() == 4094
    assert outputs(cut, tmp_path / "b", y, M4)[1][0].max() == 5000


def test_every_rule_of_the_catalogue_is_there_and_says_what_where_and_why() -> None:
    assert {f"R{i}" for i in range(1, 21)} <= set(BY_ID)
    for rule in RULES:
        assert rule.statement and rule.advice and rule.source and rule.symptom and rule.phase in ("graph", "program", "runtime")


def test_no_rule_fires_where_the_profile_says_it_does_not_hold(tmp_path: Path) -> None:
    everything = replace(M4, rules={r.id: replace(M4.rules["R1"], state="does not hold") for r in RULES})
    assert not findings(Sight(two_inputs(tmp_path).function(), everything))


def test_profiles_say_where_their_states_come_from() -> None:
    for name in profile.names():
        chosen = profile.load(name)
        assert all(e.state in profile.STATES and e.source and e.date for e in chosen.rules.values())
        assert {f"R{i}" for i in range(1, 21)} <= set(chosen.rules)
    strict = profile.load("strict")
    for name in profile.names():  # strict keeps whatever holds anywhere
        assert all(strict.holds(rule) for rule, e in profile.load(name).rules.items() if e.state == "holds")
    with pytest.raises(UserError, match="did you mean 'm5-baked'"):
        profile.load("m5-bakd")


def test_modelled_latency_orders_the_chips_as_the_front_end_does(tmp_path: Path) -> None:
    """SwiGLU, C 256, hidden 512, S 64: 387 us on M1, 136 us on M4 and M5 by another project's model."""
    from netwright.devices.ane.cost import latency_ms

    made = program(tmp_path, lambda w: swiglu(w, "x", np.zeros((512, 256)), np.zeros((256, 512)), np.zeros((512, 256))), 1, 256, 1, 64)
    m1, m4, m5 = (latency_ms(made.function(), profile.load(n)) for n in ("m1-a13", "m4max-orion", "m5-baked"))
    assert m1 > 2 * m5 > 2 * m4 and m1 == pytest.approx(0.387, rel=0.25) and m5 == pytest.approx(0.136, rel=0.15)


def test_a_kernel_keeps_every_rule_of_the_host() -> None:
    from netwright.devices.ane.device import lowered

    graph = mlp()
    for name in profile.names():
        sim = Simulator(profile.load(name))
        kernel = Kernel.of(sim, lowered(graph, sim.profile))
        x = rng.standard_normal((1, 32)).astype(np.float32)
        assert np.abs(kernel.run(x)[0] - graph.run(x)[0]).max() < 0.01
        assert sim.log == [] and sim.compiles == 1


def test_constants_beyond_fp16_are_seen(tmp_path: Path) -> None:
    w = Writer(tmp_path)
    w.input("x", 1, 8, 1, 64)
    infinite = w.const(Constant(TensorType("fp16"), (float("-inf"),)))
    made = w.program(w.op("add", x="x", y=infinite))
    assert "R20" in ids(made)
