"""Compiled programs: bytes equal everywhere, counts exact, limits real."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from networks import random_int8

from netwright import devices, load, spaces
from netwright.compress import quantise
from netwright.devices import open_program
from netwright.errors import UserError
from netwright.graph import OPS, Builder, Graph, Quant, Type

CORES = ("cortex-m0plus", "cortex-m4", "cortex-m7")


@pytest.mark.parametrize("seed", range(12))
def test_random_networks_give_the_same_bytes_in_reference_host_and_emulated_core(seed: int, tmp_path: Path) -> None:
    graph, x = random_int8(seed, layers=3 + seed % 5)
    (expected,) = graph.run(x)
    assert np.array_equal(devices.get("host").compile(graph, out=tmp_path / "host").run(x)[0], expected)
    core = CORES[seed % 3]
    assert np.array_equal(devices.get(core).compile(graph, out=tmp_path / core).run(x)[0], expected)


@pytest.mark.parametrize("even", (False, True))
@pytest.mark.parametrize("core", ("host", *CORES))
def test_float_ends_give_the_same_bits_everywhere(core: str, even: bool, tmp_path: Path) -> None:
    """Halves go away from zero as in TFLite, or with `even` to the even number as in ONNX."""
    q, out = Quant(0.0371, -9), Quant(0.11, 5)
    b = Builder("ends")
    x = b.input("x", Type((1, 200)))
    y = b(OPS["q_requantise"](q, out), b(OPS["quantise"](q, even=even), x))
    b.output(b(OPS["dequantise"](out), y), b(OPS["q_arg_max"](), y))
    graph = b.graph()
    halves = np.float32(q.scale) * (np.arange(-90, 90) + 0.5).astype(np.float32)
    special = np.float32([np.inf, -np.inf, 1e30, -1e30, 1e-42, -0.0, 0.49999997 * q.scale])
    data = np.concatenate([halves, special, np.zeros(13, np.float32)])[None]
    device = devices.get(core)
    assert not device.check(graph)
    found = device.compile(graph, out=tmp_path).run(data)
    for ours, theirs in zip(graph.run(data), found, strict=True):
        assert ours.dtype == theirs.dtype and ours.tobytes() == theirs.tobytes()


@pytest.mark.parametrize("core", ("host", *CORES))
@pytest.mark.parametrize("scale", (0.0003, 0.02, 0.3, 45.0))
def test_softmax_gives_the_same_bytes_at_every_scale_and_length(core: str, scale: float, tmp_path: Path) -> None:
    q = Quant(float(np.float32(scale)), 3)
    b = Builder("softmax")
    for n in (1, 10, 700):
        x = b.input(f"x{n}", Type((1, 2, n), "int8", q))
        b.output(b(OPS["q_softmax"](q), x), b(OPS["q_softmax"](q, 1.5), x))
    graph, rng = b.graph(), np.random.default_rng(0)
    data = [rng.integers(-128, 128, (1, *v.shape[1:])).astype(np.int8) // d for v, d in zip(graph.inputs, (1, 1, 16))]
    found = devices.get(core).compile(graph, out=tmp_path).run(*data)
    assert all(np.array_equal(a, e) for a, e in zip(found, graph.run(*data), strict=True))


def test_planned_arena_is_the_measured_arena_and_stack_is_painted(tmp_path: Path) -> None:
    graph, x = random_int8(1)
    device = devices.get("cortex-m4")
    profile = device.compile(graph, out=tmp_path).profile(x)
    assert profile.ram_bytes["arena"] == device.cost(graph).ram_bytes["arena"]
    assert 0 < profile.ram_bytes["stack"] < 1024
    assert profile.ram_bytes["static"] == 0


def test_instruction_counts_repeat_exactly_and_match_a_step_by_step_count(tmp_path: Path) -> None:
    import unicorn

    graph, x = random_int8(2, layers=2)
    program = devices.get("cortex-m4").compile(graph, out=tmp_path)
    first, second = program.profile(x), open_program(tmp_path).profile(x)
    assert first.instructions == second.instructions
    machine = program._emulator()  # type: ignore[attr-defined]
    for address, array in zip([machine.call(f"{program.program}_infer_input", 0)], [x[0]]):  # type: ignore[attr-defined]
        machine.write(address, array.tobytes())
    stepped = [0]
    machine._machine.ctl_flush_tb()
    hook = machine._machine.hook_add(unicorn.UC_HOOK_CODE, lambda *_: stepped.__setitem__(0, stepped[0] + 1))
    machine.call(f"{program.program}_infer")  # type: ignore[attr-defined]
    machine._machine.hook_del(hook)
    # a code hook skips instructions of IT blocks that are not executed; a block count has them
    assert stepped[0] <= first.instructions <= stepped[0] * 1.2


def test_a_program_that_needs_more_ram_than_granted_is_refused_in_one_line(tmp_path: Path) -> None:
    graph, _ = random_int8(3)
    with pytest.raises(UserError, match="RAM"):
        devices.get("cortex-m4", ram="64").compile(graph, out=tmp_path).run(
            np.zeros((1, *graph.inputs[0].shape[1:]), np.int8)
        )


def test_states_restart_for_each_sample_unless_streamed(tmp_path: Path) -> None:
    q = Quant(0.5, 0)
    b = Builder("running sum")
    x, s = b.input("x", Type((1, 4), "int8", q)), b.state("total", Type((1, 4), "int8", q))
    y = b(OPS["q_add"](x=q, y=q, out=q), x, s)
    b.update(s, y)
    b.output(y)
    graph = b.graph()
    data = np.ones((3, 4), np.int8)
    for name in ("host", "cortex-m4"):
        program = devices.get(name).compile(graph, out=tmp_path / name)
        assert program.run(data)[0][:, 0].tolist() == [1, 1, 1]
        assert program.run(data, stream=True)[0][:, 0].tolist() == [1, 2, 3]
    runner = graph.runner()
    assert [int(runner.step(data[:1])[0][0, 0]) for _ in range(3)] == [1, 2, 3]


def test_a_program_may_have_several_entries(tmp_path: Path) -> None:
    q = Quant(0.5, 0)

    def shifted(name: str, op: str) -> Graph:
        b = Builder(name)
        x, y = b.input("x", Type((1, 4), "int8", q)), b.input("y", Type((1, 4), "int8", q))
        b.output(b(OPS[op](x=q, y=q, out=q), x, y))
        return b.graph()

    program = devices.get("cortex-m4").compile(
        {"infer": shifted("a", "q_add"), "decode": shifted("a", "q_sub")}, out=tmp_path
    )
    x, y = np.full((1, 4), 7, np.int8), np.full((1, 4), 2, np.int8)
    assert program.run(x, y)[0].tolist() == [[9] * 4]
    assert program.run(x, y, entry="decode")[0].tolist() == [[5] * 4]
    with pytest.raises(UserError, match="no entry 'prefill'"):
        program.run(x, y, entry="prefill")


def test_a_compiled_folder_loads_as_the_same_graph(tmp_path: Path) -> None:
    graph, x = random_int8(4)
    devices.get("cortex-m7").compile(graph, out=tmp_path)
    again = load(tmp_path)
    assert again.content_hash == graph.content_hash
    assert np.array_equal(again.run(x)[0], graph.run(x)[0])


def test_wrong_inputs_are_refused_with_what_was_expected(tmp_path: Path) -> None:
    graph, x = random_int8(5)
    program = devices.get("host").compile(graph, out=tmp_path)
    with pytest.raises(UserError, match="is int8, got float32"):
        program.run(x.astype(np.float32))
    with pytest.raises(UserError, match=r"\[n, "):
        program.run(x[:, :-1])
    (tmp_path / "netwright.json").write_text("{")
    with pytest.raises(UserError, match="damaged"):
        open_program(tmp_path)


def test_a_board_file_describes_ones_own_board(tmp_path: Path) -> None:
    board = tmp_path / "mine.toml"
    board.write_text(
        'core = "cortex-m4"\nname = "mine"\nclock = "168MHz"\nwait_states = 5\n'
        '[flash]\norigin = 0x08000000\nsize = "512KB"\n[[ram]]\norigin = 0x20000000\nsize = "112KB"\n'
    )
    device = devices.get(str(board))
    graph, x = random_int8(6)
    program = device.compile(graph, out=tmp_path / "out")
    assert np.array_equal(program.run(x)[0], graph.run(x)[0])
    assert device.limits.ram_bytes == 112 << 10 and device.limits.clock_hz == 168e6
    assert "0x08000000" in (tmp_path / "out" / "link.ld").read_text()
    plain = devices.get("cortex-m4").compile(graph, out=tmp_path / "plain").profile(x)
    waiting = program.profile(x)
    assert waiting.instructions == plain.instructions and waiting.cycles_modelled > plain.cycles_modelled
    board.write_text('core = "cortex-m5"\n')
    with pytest.raises(UserError, match="cortex-m"):
        devices.get(str(board))


def test_names_from_models_cannot_break_out_of_the_c_code(tmp_path: Path) -> None:
    q = Quant(1.0, 0)
    b = Builder('*/ int evil; /* "\\n')
    x = b.input("x */ \n", Type((1, 4), "int8", q))
    b.output(b(OPS["q_add"](x=q, y=q, out=q), x, x, name="while; // */ system(1)"))
    graph = b.graph()
    program = devices.get("host").compile(graph, out=tmp_path)
    data = np.full((1, 4), 3, np.int8)
    assert program.run(data)[0].tolist() == [[6] * 4]
    text = "".join(p.read_text() for p in tmp_path.glob("*.c"))
    assert "evil;" not in text.replace("* / int evil; /", "")
    assert load(tmp_path).structure_hash == graph.structure_hash


@pytest.mark.parametrize("name", ["conv", "softmax", "startup", "main"])
def test_a_network_may_be_called_like_a_file_of_ours(name: str, tmp_path: Path) -> None:
    q = Quant(1.0, 0)
    b = Builder(name)
    x = b.input("x", Type((1, 4), "int8", q))
    b.output(b(OPS["q_softmax"](q), x))
    graph, data = b.graph(), np.full((1, 4), 3, np.int8)
    program = devices.get("cortex-m4").compile(graph, out=tmp_path)
    assert np.array_equal(program.run(data)[0], graph.run(data)[0])


def test_unknown_devices_suggest_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean 'cortex-m4'"):
        devices.get("cortexm4")
    with pytest.raises(UserError, match="is not a size"):
        devices.get("cortex-m4", ram="lots")


def test_the_cost_model_is_near_the_emulator_on_networks_it_was_not_fitted_to(tmp_path: Path) -> None:
    device, ratios, flash = devices.get("cortex-m4"), [], []
    for name in ("conv-small", "ds-cnn"):
        space, rng = spaces.get(name), np.random.default_rng(5)
        for index in range(4):
            graph = space.build(space.sample(rng), Type((1, 1, 16, 16)), Type((1, 10))).graph
            graph = graph.with_store(graph.store.initialise(graph))
            int8 = quantise(graph, rng.standard_normal((8, *graph.inputs[0].shape[1:])).astype(np.float32))
            cost, real = device.cost(int8), device.compile(int8, out=tmp_path / f"{name}{index}").profile()
            ratios.append(cost.instructions / real.instructions)
            flash.append(cost.flash_total / real.flash_total)
            assert cost.ram_bytes["arena"] == real.ram_bytes["arena"]
    assert 0.8 < float(np.median(ratios)) < 1.25 and min(ratios) > 0.5 and max(ratios) < 2
    assert 0.9 < float(np.median(flash)) < 1.1


def test_the_written_folder_builds_with_gcc_and_runs_alike_in_qemu(tmp_path: Path) -> None:
    tools = ("make", "arm-none-eabi-gcc", "qemu-system-arm")
    if missing := [t for t in tools if shutil.which(t) is None]:
        pytest.skip(f"needs {', '.join(missing)}: apt-get install gcc-arm-none-eabi qemu-system-arm")
    graph, _ = random_int8(7)
    size = graph.inputs[0].type.size
    x = (np.arange(size) % 256).astype(np.uint8).view(np.int8).reshape(1, *graph.inputs[0].shape[1:])
    expected = graph.run(x)[0].tobytes().hex()
    devices.get("cortex-m4").compile(graph, out=tmp_path)
    subprocess.run(["make", "-s", "-B", "-C", str(tmp_path)], check=True, capture_output=True)
    with subprocess.Popen(
        [
            "qemu-system-arm",
            "-M",
            "mps2-an386",
            "-nographic",
            "-monitor",
            "none",
            "-serial",
            "stdio",
            "-kernel",
            str(tmp_path / "firmware.elf"),
        ],
        stdout=subprocess.PIPE,
        text=True,
    ) as machine:
        assert machine.stdout is not None
        line = machine.stdout.readline().strip()
        machine.kill()
    assert line == expected


def test_manifest_says_what_compiled_it(tmp_path: Path) -> None:
    graph, _ = random_int8(8)
    devices.get("cortex-m4").compile(graph, out=tmp_path)
    manifest = json.loads((tmp_path / "netwright.json").read_text())
    assert manifest["compiler"].startswith("clang of ziglang") and manifest["entries"]["infer"]["inputs"]


@pytest.mark.parametrize("name", ["host", "cortex-m4"])
def test_inputs_and_constants_may_be_outputs(name: str, tmp_path: Path) -> None:
    b, q = Builder("ends"), Quant(0.1, 0)
    x, c = b.input("x", Type((1, 4), "int8", q)), b.param("c", (1, 3), dtype="int8", init=None)
    b.store["c"] = np.array([[1, 2, 3]], np.int8)
    b.output(x, c, b(OPS["q_requantise"](x=q, out=q), x))
    graph, data = b.graph(), np.array([[4, -5, 6, 7]], np.int8)
    for found, wanted in zip(devices.get(name).compile(graph, out=tmp_path).run(data), graph.run(data), strict=True):
        assert np.array_equal(found, wanted)
