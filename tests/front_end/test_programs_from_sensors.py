"""Tasks whose programs take what the sensor gives: sound, pixels, readings."""

from __future__ import annotations

import json
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import netwright
from netwright import devices, spaces, tasks
from netwright.compress.quantise import prepared, quantise
from netwright.errors import UserError
from netwright.graph import Graph, Quant, Type
from netwright.study.evaluate import Evaluator, ranges, with_front_end
from netwright.tasks import Task
from netwright.tasks.front_end import STEEPEST, Pixels, Readings, Sound
from netwright.train import default_recipe

RNG = np.random.default_rng(3)


def wav_folder(root: Path, rate: int = 8000, seconds: float = 0.4) -> Path:
    """Low and high tones in noise, twelve of each."""
    t = np.arange(int(rate * seconds)) / rate
    for name, hz in (("low", 300), ("high", 1500)):
        (root / name).mkdir(parents=True)
        for i in range(12):
            sound = 9000 * np.sin(2 * np.pi * hz * (1 + 0.02 * i) * t) + RNG.normal(0, 800, len(t))
            with wave.open(str(root / name / f"{i:02d}.wav"), "wb") as file:
                file.setnchannels(1)
                file.setsampwidth(2)
                file.setframerate(rate)
                file.writeframes(sound.astype("<i2").tobytes())
    return root


def npz(path: Path) -> Path:
    """Bright spots at the left or the right, RGB."""
    x = RNG.integers(0, 90, (60, 12, 10, 3)).astype(np.uint8)
    y = np.arange(60) % 2
    for i, side in enumerate(y):
        x[i, 4:8, 7 * side : 7 * side + 3] += 150
    np.savez(path, x=x, y=y)
    return path


def csv(path: Path, halves: bool = False) -> Path:
    """An accelerometer of three axes of unlike sizes, standing still or shaken."""
    lines = ["x,y,z,what"]
    for row in range(1200):
        shaken = row // 60 % 2
        values = [RNG.normal(16384, 200), RNG.normal(-300, 20 + 900 * shaken), RNG.normal(7, 3)]
        cells = [f"{v:.1f}" if halves else f"{round(v)}" for v in values]
        lines.append(",".join([*cells, "shaken" if shaken else "still"]))
    path.write_text("\n".join(lines) + "\n")
    return path


def network(task: Task, space: str, seed: int = 0) -> Graph:
    """Some float network of a space for a task, with weights."""
    found = spaces.get(space)
    rng = np.random.default_rng(seed)
    graph = found.build(found.sample(rng), task.x, task.y).graph
    return graph.with_store(graph.store.initialise(graph, seed))


def whole(task: Task, graph: Graph) -> Graph:
    ready = prepared(graph)
    samples = task.inputs(task.train.x[:32], graph.inputs[0].shape)
    return with_front_end(task, quantise(ready, ranges=ranges(task, ready, samples)))


TASKS: dict[str, Any] = {
    "sound": (lambda p: tasks.load(wav_folder(p / "sounds")), "conv-small", Sound, "int16[1,3200]"),
    "other rate": (lambda p: tasks.load(wav_folder(p / "sounds", 16000, 0.25)), "conv-small", Sound, "int16[1,4000]"),
    "pixels": (lambda p: tasks.load(npz(p / "x.npz")), "conv-small", Pixels, "uint8[1,12,10,3]"),
    "readings": (
        lambda p: tasks.load(csv(p / "x.csv"), label="what", window=40, stride=20), "conv-small", Readings, "int16[1,40,3]"
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", TASKS)
def test_the_program_takes_what_the_sensor_gives_and_agrees_everywhere(kind: str, tmp_path: Path) -> None:
    make, space, front, given = TASKS[kind]
    task = make(tmp_path)
    assert isinstance(task.front_end, front)
    floating = network(task, space)
    graph = whole(task, floating)
    assert str(graph.inputs[0].type).startswith(given)
    readings = task.front_end.readings(task.test, devices.get("cortex-m4").lowered(floating).inputs[0].type)
    assert readings.shape[1:] == graph.inputs[0].shape[1:] and str(readings.dtype) == graph.inputs[0].dtype
    readings = readings[:6]
    (expected,) = graph.run(readings)
    assert np.ptp(expected.astype(int)) > 0
    for name in ("host", "cortex-m4", "cortex-m0plus"):
        (found,) = devices.get(name).compile(graph, out=tmp_path / name).run(readings)
        assert np.array_equal(found, expected)


@pytest.mark.parametrize("kind", TASKS)
def test_training_sees_what_the_device_computes(kind: str, tmp_path: Path) -> None:
    """The int8 that the front end makes stands for the float input within half a step, save where it saturates."""
    make, _, _, _ = TASKS[kind]
    task = make(tmp_path)
    raw, shape = task.test.x, (*task.x.shape[:1], *task.x.shape[2:], task.x.shape[1])
    real = np.moveaxis(task.inputs(raw), 1, -1)
    low, high = task.front_end.span or (float(real.min()), float(real.max()))
    quant = Quant(float(np.float32((high - low) / 255)), round(-128 - low / ((high - low) / 255)))
    network_input = Type(shape, "int8", quant)
    front = task.front_end.graph(network_input)
    assert front.outputs[0].type == network_input
    (codes,) = front.run(task.front_end.readings(task.test, network_input))
    made = quant.scale * (codes.astype(np.float64) - quant.zero)
    step = quant.scale + (0.003 if kind in ("sound", "other rate") else 0)
    inside = (codes > -128) & (codes < 127)
    assert np.abs(made - real)[inside].max() <= 0.51 * step
    assert inside.mean() > 0.5 or kind == "pixels"


def test_pixels_lose_nothing(tmp_path: Path) -> None:
    task = tasks.load(npz(tmp_path / "x.npz"))
    graph = whole(task, network(task, "conv-small"))
    flip = graph.nodes[0]
    assert flip.op.name == "q_flip" and graph.inputs[0].type.quant.zero == 0
    assert flip.output.type.quant.zero == -128
    step = flip.output.type.quant.scale
    assert step == pytest.approx(float(task.scale), rel=1e-6)


def test_pixels_come_at_the_resolution_of_the_network(tmp_path: Path) -> None:
    task = tasks.load(npz(tmp_path / "x.npz"))
    small = Type((1, 6, 5, 3), "int8", Quant(float(task.scale), -128))
    readings = task.front_end.readings(task.test, small)
    assert readings.shape == (len(task.test), 6, 5, 3) and readings.dtype == np.uint8
    seen = np.moveaxis(task.inputs(task.test.x, (1, 3, 6, 5)), 1, -1)
    assert np.abs(readings * float(task.scale) - seen).max() <= 0.51 * float(task.scale)


def test_limits_are_held_against_the_program_with_its_front_end(tmp_path: Path) -> None:
    """Sound alone is 6,400 B: no candidate fits 6 KB, while without its front end some would."""
    task = tasks.load(wav_folder(tmp_path / "sounds"))
    space, recipe = spaces.get("conv-small"), default_recipe("image", task.x.shape, 20)
    rng = np.random.default_rng(0)
    candidates = [space.sample(rng) for _ in range(40)]
    small, roomy = (devices.get("cortex-m4", ram=ram, flash="64KB") for ram in ("6KB", "12KB"))
    assert not any(Evaluator(space, task, small, recipe).fits(c) for c in candidates)
    assert any(not small.check(space.build(c, task.x, task.y).graph) for c in candidates)
    evaluator = Evaluator(space, task, roomy, recipe)
    fitting = [c for c in candidates if evaluator.fits(c)]
    assert fitting
    for c in fitting[:3]:
        floating = evaluator.build(c).graph
        deployed = evaluator.deployed(floating)
        assert [n.op.name for n in deployed.nodes[:2]] == ["q_log_mel", "q_requantise"]
        trained = floating.with_store(floating.store.initialise(floating, 0))
        alone = quantise(trained, task.inputs(task.train.x[:8]))
        device = devices.get("cortex-m4")
        measured = [device.compile(g).profile() for g in (whole(task, trained), alone)]
        modelled = [roomy.cost(deployed), roomy.cost(floating)]
        assert measured[0].ram_bytes["arena"] == modelled[0].ram_bytes["arena"] >= 6400
        for count, off in (("instructions", 0.06), ("flash_total", 0.04)):  # of the front end: with less without
            ours, theirs = (getattr(pair[0], count) - getattr(pair[1], count) for pair in (measured, modelled))
            assert ours > 0 and ours == pytest.approx(theirs, rel=off), count


def test_networks_that_scale_sound_features_do_not_fit(tmp_path: Path) -> None:
    """What shrinks pictures on the host cannot shrink features on the device."""
    task = tasks.load(wav_folder(tmp_path / "sounds"))
    with pytest.raises(ValueError, match="sound becomes 19 frames of 40 features"):
        task.front_end.graph(Type((1, 10, 20, 1), "int8", Quant(1.0, 0)))


def test_series_that_are_not_whole_have_no_front_end(tmp_path: Path) -> None:
    assert tasks.load(csv(tmp_path / "x.csv", halves=True), label="what", window=40).front_end is None
    task = tasks.load(csv(tmp_path / "y.csv"), label="what", window=40)
    assert task.front_end.offset == tuple(int(o) for o in task.offset.reshape(-1))


def test_a_channel_that_hardly_ever_moves_saturates(tmp_path: Path) -> None:
    front = Readings((5, 0), (1e9, 0.01))
    graph = front.graph(Type((1, 4, 2), "int8", Quant(0.02, 0)))
    x = np.array([[[5, 0], [6, 100], [-32768, 32767], [32767, -32768]]], np.int16)
    assert graph.run(x)[0].tolist() == [[[0, 0], [127, 50], [-128, 127], [127, -128]]]
    for name in ("host", "cortex-m4"):
        assert np.array_equal(devices.get(name).compile(graph, out=tmp_path / name).run(x)[0], graph.run(x)[0])
    assert STEEPEST < 2**13  # a difference of 17 bits scaled by so much stays on 31


def test_fit_writes_a_program_that_takes_sound(tmp_path: Path) -> None:
    study = netwright.fit(
        str(wav_folder(tmp_path / "sounds")),
        "cortex-m4",
        ram="32KB",
        flash="64KB",
        latency="300ms",
        evaluations=2,
        out=tmp_path / "out",
        recipe={"epochs": 3},
    )
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    assert result["byte_equal"] and result["input"] == "int16[1,3200]" and result["preprocessing"] is None
    assert result["task"]["front_end"]["kind"] == "log-mel"
    layers = [layer["op"] for layer in result["modelled"]["layers"]]
    assert layers[:2] == ["q_log_mel", "q_requantise"]
    sound = np.zeros((2, 3200), np.int16)
    assert np.array_equal(netwright.load(tmp_path / "out").run(sound)[0], study.program.run(sound)[0])
    with pytest.raises(UserError, match="is int16, got float32"):
        study.program.run(sound.astype(np.float32))
