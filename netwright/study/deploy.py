"""Onto the device: compile, run the whole test set three ways, and hold the bytes against each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from netwright.devices import Device, Program
from netwright.devices import get as get_device
from netwright.graph import Graph
from netwright.tasks import Task
from netwright.train import evaluate

from . import facts
from .evaluate import quantised_inputs

BATCH = 256


def deploy(
    task: Task,
    device: Device,
    trained: Graph,
    graph: Graph,
    options: Mapping[str, Any],
    folder: Path,
    tell: Callable[[str, float, str], None],
) -> tuple[Program, dict[str, Any]]:
    """The program in `folder`, and what was measured of it: accuracy, profile, byte_equal, confusion, violations.

    `trained` is the float network, `graph` its int8 form behind the task's front end.
    """
    x, y = task.inputs(task.test.x, trained.inputs[0].shape), task.test.y
    front, network = task.front_end, device.lowered(trained).inputs[0].type
    given = front.readings(task.test, network) if front is not None else quantised_inputs(graph, x)
    tell("compile", 0.0, "C and ELF")
    program = device.compile(graph, options, folder)
    ways = {"reference": graph.run, "host": get_device("host").compile(graph).run, "device": program.run}
    outputs: dict[str, np.ndarray] = {}
    for name, execute in ways.items():
        tell("run", len(outputs) / len(ways), f"{len(y)} test samples, {name}")
        outputs[name] = np.concatenate([execute(given[i : i + BATCH])[0] for i in range(0, len(given), BATCH)])
    profile = program.profile(given[:1])
    guesses = outputs["device"].argmax(1)
    confusion = np.zeros((len(task.classes),) * 2, int)
    np.add.at(confusion, (y, guesses), 1)
    modelled = device.cost(graph, options)
    broken = profile.broken(device.limits)
    return program, {
        "accuracy": {
            "float": evaluate(trained, x, y)["accuracy"],
            "int8": float((outputs["reference"].argmax(1) == y).mean()),
            "device": float((guesses == y).mean()),
        },
        "profile": profile.to_json(),
        "byte_equal": all(np.array_equal(outputs["device"], outputs[way]) for way in ("host", "reference")),
        "samples": len(y),
        "violations": [broken] if broken else [],
        "confusion": confusion.tolist(),
        "classes": list(task.classes),
        "modelled": {**modelled.to_json(), "layers": facts.layers(modelled)},
    }
