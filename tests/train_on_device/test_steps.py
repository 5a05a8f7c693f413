"""Training steps give the same bytes in the NumPy reference, in host C and on the emulated core."""

from __future__ import annotations

import numpy as np
import pytest
from small_nets import data, pointwise, residual

from netwright import devices
from netwright.compile.training import Scheme, build
from netwright.graph import Graph, parse, to_text

EVERYTHING = Scheme(6, ((0, 1.0), (1, 0.5), (2, 1.0), (3, 0.25), (4, 1.0), (5, 1.0)))


def held_equal(entries: dict[str, Graph], device: str, steps: int) -> list[float]:
    """Run steps on a device and in the reference; every state and result must be equal. Returns the losses."""
    step, program = entries["train_step"], devices.get(device).compile(entries)
    x, labels = data(step, steps)
    runner, losses = step.runner(), []
    program.reset("train_step")
    for sample, label in zip(x, labels):
        expected = runner.step(sample[None], label[None])
        for ours, made in zip(expected, program.step(sample, label, entry="train_step"), strict=True):
            assert ours.tobytes() == made.tobytes()
        for name, state in runner.states.items():
            assert state.tobytes() == program.state(name).tobytes(), name
        losses.append(float(expected[0][0]))
    infer = entries["infer"].runner()
    infer.states = {name: runner.states[name] for name in infer.states}
    for sample in x[:3]:
        assert infer.step(sample[None])[0].tobytes() == program.step(sample)[0].tobytes()
    return losses


@pytest.mark.parametrize("device", ["host", "cortex-m7", "cortex-m0plus"])
@pytest.mark.parametrize("residue", ["int16", "int8", "none"])
def test_pointwise_network_trains_alike_everywhere(device: str, residue: str) -> None:
    entries = build(pointwise(), Scheme(2, ((0, 0.5), (1, 1.0))), rate=0.05, residue=residue)  # type: ignore[arg-type]
    held_equal(entries, device, 6)


@pytest.mark.parametrize("device", ["host", "cortex-m7"])
@pytest.mark.parametrize("schedule", ["fused", "immediate", "end"])
def test_every_kind_of_layer_trains_alike_everywhere(device: str, schedule: str) -> None:
    entries = build(residual(), EVERYTHING, rate=0.02, schedule=schedule)  # type: ignore[arg-type]
    held_equal(entries, device, 4)


def test_schedules_give_the_same_weights_and_the_loss_falls() -> None:
    graph = residual()
    x, labels = data(graph, 120)
    found = []
    for schedule in ("fused", "immediate", "end"):
        runner = build(graph, EVERYTHING, rate=0.05, schedule=schedule)["train_step"].runner()  # type: ignore[arg-type]
        losses = [float(runner.step(a[None], b[None])[0][0]) for a, b in zip(x, labels)]
        found.append(runner.states)
    assert all(a.tobytes() == b[name].tobytes() for b in found[1:] for name, a in found[0].items())
    assert np.mean(losses[-20:]) < 0.8 * np.mean(losses[:20])


def test_small_steps_are_lost_without_a_residue() -> None:
    graph = residual()
    x, labels = data(graph, 25)
    moved = {}
    for residue in ("none", "int8", "int16"):
        step = build(graph, Scheme(0, ((4, 1.0),)), rate=1e-3, residue=residue)["train_step"]  # type: ignore[arg-type]
        runner = step.runner()
        before = runner.states["down.trained"]
        for sample, label in zip(x, labels):
            runner.step(sample[None], label[None])
        moved[residue] = int((runner.states["down.trained"] != before).sum())
    assert moved["none"] == 0 and moved["int16"] > 0 and moved["int8"] > 0


def test_a_label_that_is_no_class_changes_nothing() -> None:
    step = build(pointwise(), Scheme(2, ((1, 1.0),)), rate=0.1)["train_step"]
    x, _ = data(step, 1)
    runner = step.runner()
    before = dict(runner.states)
    for label in (-1, 3):
        loss, _ = runner.step(x, np.array([label], np.int32))
        assert loss[0] == 0
    assert all(before[name].tobytes() == runner.states[name].tobytes() for name in before)


def test_a_training_step_survives_its_text_form() -> None:
    step = build(residual(), EVERYTHING)["train_step"]
    again = parse(to_text(step), step.store)
    assert to_text(again) == to_text(step) and again.structure_hash == step.structure_hash
