"""The device `ane`, from a network to numbers: compile, run, update, the command line, bad input."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from lowered import attention_block, errors, filled, inputs_of, mlp, swiglu_block

from netwright import devices
from netwright.devices.ane import profile
from netwright.devices.ane.cache import Key, ProgramCache, bucket
from netwright.devices.ane.device import Ane, AneProgram, lowered
from netwright.devices.ane.simulator import Kernel, Simulator
from netwright.errors import UserError
from netwright.graph import Builder, Store, Type, save
from netwright.graph.ops import Gather, Linear


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "netwright", *arguments], capture_output=True, text=True, cwd=cwd)


def close(y: np.ndarray, want: np.ndarray) -> bool:
    return bool(np.abs(y - want).max() <= 0.005 * max(1.0, np.abs(want).max()))


@pytest.mark.parametrize("name", ["ane", *(f"ane:{n}" for n in profile.names())])
def test_compiled_programs_compute_what_the_graph_computes(name: str, tmp_path: Path) -> None:
    device = devices.get(name)
    graphs = {"attend": attention_block(), "feed": swiglu_block(), "classify": mlp()}
    program = device.compile(graphs, out=tmp_path / "out")
    again = devices.open_program(program.folder)
    assert isinstance(again, AneProgram)
    for entry, graph in graphs.items():
        given = inputs_of(graph)
        for y, want in zip(again.step(*given, entry=entry), graph.run(*given), strict=True):
            assert y.shape == want.shape and close(y, want)
    assert again.simulator.log == []  # no rule was broken on the way


def test_a_batch_is_run_sample_by_sample(tmp_path: Path) -> None:
    graph = mlp()
    program = devices.get("ane").compile(graph, out=tmp_path)
    x = np.random.default_rng(0).standard_normal((5, 32)).astype(np.float32)
    (y,) = program.run(x)
    assert y.shape == (5, 10) and close(y, graph.rebatch(5).run(x)[0])
    with pytest.raises(UserError, match="float32"):
        program.run(x.astype(np.float64))


@pytest.mark.parametrize(("name", "how", "compiles"), [
    ("ane:m4max-orion", "reload", 1), ("ane:m5-baked", "recompile", 2), ("ane:strict", "recompile", 2),
])
def test_updated_weights_are_proved_to_be_used(name: str, how: str, compiles: int, tmp_path: Path) -> None:
    graph = mlp()
    program = Ane(name.partition(":")[2]).compile(graph, out=tmp_path)
    x = inputs_of(graph)[0]
    program.run(x)
    new = {"a.weight": graph.store["a.weight"] + 0.1, "b.bias": np.ones(10, np.float32)}
    program.update_weights(new)
    assert program.kernel().updates == [how] and program.simulator.compiles == compiles
    held = {n: graph.store[n] for n in graph.store}
    fresh = graph.with_store(Store({**held, **new}))
    assert close(program.run(x)[0], fresh.run(x)[0])
    kernel = Kernel.of(Simulator(program.simulator.profile), lowered(fresh, program.simulator.profile))
    assert kernel.run(x)[0].tobytes() == program.run(x)[0].tobytes()  # to the bit, as compiled afresh


def test_two_hundred_updates_in_one_process_cost_no_compile() -> None:
    graph = mlp(8)
    chosen = profile.load("m4max-orion")
    sim = Simulator(chosen)
    kernel = Kernel.of(sim, lowered(graph, chosen))
    for step in range(200):
        held = {n: graph.store[n] * np.float32(0.99) for n in graph.store}
        graph = graph.with_store(Store(held))
        assert kernel.update_from(lowered(graph, chosen)) == "reload", step
    assert sim.compiles == 1
    x = inputs_of(graph)[0]
    assert close(kernel.run(x)[0], graph.run(x)[0])


def test_values_beyond_fp16_are_clamped_and_counted() -> None:
    kernel = Kernel.of(Simulator(profile.load("strict")), lowered(mlp(), profile.load("strict")))
    x = np.zeros((1, 32), np.float32)
    kernel.run(x)
    assert kernel.clamped == kernel.nans == 0 and kernel.simulator.log == []
    x[0, :3] = np.inf, 1e6, np.nan
    (y,) = kernel.run(x)
    assert np.isfinite(y).all() and kernel.clamped >= 2 and kernel.nans == 1
    assert kernel.simulator.log[0] == "R20: x: 2 values clamped to +-65504, 1 NaN set to 0"


def test_a_device_survives_pickling() -> None:
    import pickle

    device = devices.get("ane:m5-baked")
    device.check(mlp())
    again = pickle.loads(pickle.dumps(device))
    assert again.name == device.name and again.check(mlp()) == []


def test_only_weights_can_be_updated(tmp_path: Path) -> None:
    program = Ane().compile(mlp(), out=tmp_path)
    with pytest.raises(UserError, match="no weights 'c'"):
        program.update_weights({"c": np.zeros(1)})
    with pytest.raises(UserError, match=r"b.bias is \[10\], given \[9\]"):
        program.update_weights({"b.bias": np.zeros(9)})
    with pytest.raises(UserError, match="another program"):
        program.kernel().update_from(lowered(swiglu_block(), profile.load("strict")))


def test_the_artefact_is_what_runs(tmp_path: Path) -> None:
    assert Ane().compile(mlp(), out=tmp_path).profile().measured is False
    text = (tmp_path / "model.mil").read_text()
    (tmp_path / "model.mil").write_text(text.replace("= relu(", "= tanh("))
    x = inputs_of(mlp())[0]
    assert not close(devices.open_program(tmp_path).run(x)[0], mlp().run(x)[0])
    (tmp_path / "model.mil").write_text("program(")
    with pytest.raises(UserError, match="line 1"):
        devices.open_program(tmp_path).run(x)
    next((tmp_path / "weights").iterdir()).unlink()
    (tmp_path / "model.mil").write_text(text)
    with pytest.raises(UserError, match="no such weight file"):
        devices.open_program(tmp_path).run(x)


def test_a_damaged_manifest_is_one_line(tmp_path: Path) -> None:
    Ane().compile(mlp(), out=tmp_path)
    manifest = json.loads((tmp_path / "netwright.json").read_text())
    manifest["ports"]["infer"]["inputs"][0]["order"] = [5, 5]
    (tmp_path / "netwright.json").write_text(json.dumps(manifest))
    with pytest.raises(UserError, match="not a compiled program"):
        devices.open_program(tmp_path)


def test_check_cost_and_compile_agree_about_what_does_not_fit(tmp_path: Path) -> None:
    b = Builder("lookup")
    b.output(b(Gather(), b.param("table", (10, 4)), b.input("tokens", Type((3,), "int64")), name="embedded"))
    graph = filled(b.graph())
    (violation,) = devices.get("ane").check(graph)
    assert violation.rule == "N1" and violation.where == "embedded"
    with pytest.raises(UserError, match="N1: embedded"):
        devices.get("ane").compile(graph, out=tmp_path / "out")
    b = Builder("wide")
    b.output(b(Linear(), b.input("x", Type((1, 70_000))), b.param("w", (4, 70_000))))
    wide = filled(b.graph())
    assert "L2" in {v.rule for v in devices.get("ane:m5-baked").check(wide)}
    with pytest.raises(UserError, match="L2"):
        devices.get("ane:m5-baked").compile(wide, out=tmp_path / "out")
    late = devices.get("ane", latency="0.1ms")
    assert [v.rule for v in late.check(mlp())] == ["N3"]
    cost = devices.get("ane").cost(mlp())
    assert not cost.measured and cost.latency_ms_modelled == pytest.approx(0.22, rel=0.01) and cost.macs == 64 * 42


def test_networks_without_weights_can_be_checked() -> None:
    graph = mlp().with_store(Store())
    assert devices.get("ane").check(graph) == [] and devices.get("ane").cost(graph).macs == 64 * 42


def test_cache_keeps_programs_and_names_buckets() -> None:
    assert [bucket(n) for n in (1, 32, 33, 1000)] == [32, 32, 64, 1024]
    with pytest.raises(UserError, match="1 to 1024"):
        bucket(1025)
    chosen = profile.load("m4max-orion")
    cache, sim, made = ProgramCache(), Simulator(chosen), lowered(mlp(), chosen)
    key = Key("mlp", 0, "base", 32)
    assert str(key) == "mlp:0:base:32" and cache.get(key) is None
    kernel = cache.store(key, Kernel.of(sim, made))
    cache.store(key, Kernel.of(sim, made))
    assert len(cache) == 1 and cache.get(key) is not kernel
    other = key._replace(weights="step_00000012")
    cache.store(other, Kernel.of(sim, made))
    assert cache.evict("base") == 1 and key not in cache and other in cache
    cache.clear()
    assert len(cache) == 0


def test_a_text_that_leaves_its_folder_is_refused() -> None:
    with pytest.raises(UserError, match="leaves the program's folder"):
        Simulator(profile.load("strict")).compile(b"program(1.3) { func main<ios18>(fp16 x) { } -> (x); }", {"../w.bin": b""})


def test_command_line(tmp_path: Path) -> None:
    graph = mlp()
    save(graph, tmp_path / "net")
    done = run("check", "net", "--device", "ane:m1-a13", "--json", cwd=tmp_path)
    assert done.returncode == 0 and json.loads(done.stdout)["devices"]["ane:m1-a13"]["fits"]
    done = run("compile", "net", "--device", "ane:m4max-orion", "-o", "out", cwd=tmp_path)
    assert done.returncode == 0 and "R16: logits" in done.stdout and (tmp_path / "out" / "model.mil").is_file()
    x = np.random.default_rng(0).standard_normal((3, 32)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    assert run("run", "out", "-i", "x.npy", "-o", "y.npy", cwd=tmp_path).returncode == 0
    assert close(np.load(tmp_path / "y.npy"), graph.rebatch(3).run(x)[0])
    done = run("mil", "lint", "out", "--profile", "m4max-orion", "--json", cwd=tmp_path)
    assert done.returncode == 0 and {f["rule"] for f in json.loads(done.stdout)["findings"]} == {"R4", "R19"}
    done = run("mil", "lint", "out", "--profile", "strict", cwd=tmp_path)
    assert done.returncode == 1 and "broken  L10" in done.stdout
    assert run("mil", "diff", "out", "out", cwd=tmp_path).stdout.strip() == "same structure"
    np.save(tmp_path / "z.npy", x[:1].T.reshape(1, 32, 1, 1))
    assert run("mil", "run", "out", "-i", "x=z.npy", "-o", "logits=w.npy", cwd=tmp_path).returncode == 0
    assert close(np.load(tmp_path / "w.npy").reshape(1, 10), graph.run(x[:1])[0])


@pytest.mark.parametrize(("arguments", "words"), [
    (("check", "net", "--device", "ane:m5"), "did you mean"),
    (("mil", "lint", "nowhere.mil"), "nowhere.mil: No such file"),
    (("mil", "lint", "bad.mil"), "bad.mil, line 1, column 1"),
    (("mil", "lint", "net"), "model.mil"),
    (("mil", "lynt", "bad.mil"), "did you mean 'lint'"),
    (("mil", "diff", "bad.mil"), "takes 2 files"),
    (("mil", "run", "bad.mil", "-i", "x"), "bad.mil"),
    (("mil", "lint", "bad.mil", "--profile", "m6"), "unknown profile"),
])
def test_bad_input_is_one_line_and_status_two(arguments: tuple[str, ...], words: str, tmp_path: Path) -> None:
    save(mlp(), tmp_path / "net")
    (tmp_path / "bad.mil").write_text("prgram(1.3)")
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert words in done.stderr.replace("\n", " ") and done.stderr.count("\n") == 1


def test_a_package_is_written_beside_the_text(tmp_path: Path) -> None:
    pytest.importorskip("coremltools")
    from netwright.devices.ane.files import diff

    Ane("m4max-orion").compile(mlp(), {"package": "yes"}, tmp_path)
    assert not diff(tmp_path, tmp_path / "model.mlpackage").lines
    _, found = errors(mlp(), tmp_path / "again")
    assert max(found) < 0.005
