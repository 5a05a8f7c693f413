"""Training on the device, from a model and data to a program that has learnt on the emulated core.

Source: Lin et al. 2022, "On-Device Training Under 256KB Memory".
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from netwright.compile.training import (
    Found,
    Residue,
    Scheme,
    body,
    build,
    from_gradients,
    layers,
    memory,
    need_reach,
    search,
)
from netwright.devices import Device, Program
from netwright.devices import get as get_device
from netwright.devices.c import least_bytes, planned_entries
from netwright.errors import UserError
from netwright.graph import Graph
from netwright.graph.ops.quantise import Quantise
from netwright.tasks import Task
from netwright.tasks.resize import resize

STACK_BYTES = 1024  # of RAM, left to the stack and other static data when a scheme is chosen
LOOKED_AT = 32  # samples whose gradients say what is worth updating
Tell = Callable[[str, float, str], None]


@dataclass(frozen=True)
class Data:
    """Samples as an int8 network takes them: x int8 [n, ...], labels int32 [n]."""

    x: np.ndarray
    labels: np.ndarray

    def drawn(self, count: int, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """So many samples, pass after pass, each in an order of its own."""
        rng = np.random.default_rng(seed)
        order = np.concatenate([rng.permutation(len(self.x)) for _ in range(-(-count // len(self.x)))])[:count]
        yield from ((self.x[i], self.labels[i]) for i in order)


Normaliser = tuple[np.ndarray, np.ndarray]


def preprocessing(model: str | Path) -> Normaliser | None:
    """(offset, scale) of the inputs that a network of `fit` was trained on; None for other models."""
    file = Path(model) / "result.json"
    if not file.is_file():
        return None
    try:
        known = json.loads(file.read_text(encoding="utf-8"))["preprocessing"]
        return np.asarray(known["offset"], np.float32), np.asarray(known["scale"], np.float32)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{file}: damaged: {error!r}") from None


def given(task: Task, graph: Graph, known: Normaliser | None = None) -> tuple[Data, Data]:
    """Training and test samples of a task as `graph` (see `body`) takes them.

    With `known` (see `preprocessing`) samples become (raw - offset) * scale and are quantised. Else pixels 0 ... 255
    become -128 ... 127, and other numbers are quantised as they are. Images are resized to the network's. Raises
    UserError where shapes or classes do not suit.
    """
    value = graph.inputs[0]
    classes = graph.outputs[0].type.size
    if len(task.classes) != classes:
        raise UserError(f"{task.name} has {len(task.classes)} classes and {graph.name} tells {classes} apart")
    if value.type.quant is None:
        raise UserError(f"{graph.name} takes {value.type}: only networks of int8 inputs are trained on the device")
    made = []
    for split in (task.train, task.test):
        pixels = split.x.dtype == np.uint8 and known is None
        x = split.x.astype(np.float32)
        if known is not None:
            try:
                x = ((x - known[0]) * known[1]).astype(np.float32)
            except ValueError:
                shape = list(split.x.shape[1:])
                raise UserError(f"{task.name}: samples of {shape} are not what {graph.name} was fitted to") from None
        if x.ndim in (3, 4):
            x = resize(x, value.shape[1:-1]) if x.ndim == 4 and len(value.shape) == 4 else x
            x = np.moveaxis(x, 1, -1)
        if x.shape[1:] != value.shape[1:]:
            raise UserError(f"{task.name}: samples are {list(x.shape[1:])}, {graph.name} takes {list(value.shape[1:])}")
        if pixels:
            integers = np.clip(np.rint(x), 0, 255).astype(np.int16) - 128
        else:
            integers = Quantise(value.type.quant).numpy(np.ascontiguousarray(x, np.float32))
        made.append(Data(integers.astype(np.int8), split.y.astype(np.int32)))
    return made[0], made[1]


def choose(
    graph: Graph,
    data: Data,
    device: Device,
    *,
    last: int | None = None,
    residue: Residue = "int8",
    seed: int = 0,
) -> Found:
    """The scheme worth most in the device's RAM, by the gradients of a few samples.

    Raises UserError where gradients do not reach the last layers, or no scheme fits.
    """
    limit = device.limits.ram_bytes
    if limit is None:
        raise UserError(f"{device.name} has no RAM limit to choose a scheme by: give one")
    count = last if last is not None else len(layers(graph))
    if not 1 <= count <= max(1, len(layers(graph))):
        raise UserError(f"the last {count} layers: {graph.name} has {len(layers(graph))} that can be trained")
    need_reach(graph, count)
    worth = from_gradients(graph, data.x[:LOOKED_AT], data.labels[:LOOKED_AT], count)
    budget = limit - STACK_BYTES
    least = ram_bytes(graph, Scheme(1), residue, budget)
    if least > budget:
        raise UserError(
            f"{limit:,} B of RAM are too few to train any part of {graph.name}: the bias of its last layer alone needs "
            f"{least + STACK_BYTES:,} B, {STACK_BYTES:,} of them for the stack; give that much, or a smaller network"
        )
    return search(graph, worth, lambda s: ram_bytes(graph, s, residue, budget), budget, last=count, seed=seed)


def ram_bytes(graph: Graph, scheme: Scheme, residue: Residue, budget: int) -> int:
    """The arena that a scheme needs, as planned; where it is over the budget, what it needs at least."""
    entries = build(graph, scheme, residue=residue)
    bound = least_bytes(entries["train_step"])
    return bound if bound > budget else max(plan.bytes for plan in planned_entries(entries).values())


def accuracy(program: Program, data: Data, entry: str = "infer") -> float:
    """Share of samples whose largest logit is at their label, with the program's present weights."""
    right = [int(program.step(x, entry=entry)[0].argmax()) == label for x, label in zip(data.x, data.labels)]
    return float(np.mean(right)) if right else 0.0


def train_on_device(
    model: Graph,
    train: Data,
    test: Data,
    device: Device,
    *,
    steps: int = 100,
    rate: float = 0.01,
    last: int | None = None,
    scheme: Scheme | None = None,
    residue: Residue = "int8",
    seed: int = 0,
    folder: str | Path | None = None,
    tell: Tell = lambda stage, share, words: None,
) -> dict[str, Any]:
    """Choose a scheme (or take one), compile, and run real training steps on the device's emulator.

    Beside it runs the same C on the host: after every step the updated parameters are held against each other to the
    byte, and accuracy on the test samples is counted there. Returns what `netwright train-on-device --json` prints.
    """
    graph = body(model)
    if scheme is None:
        tell("search", 0.0, "what is worth updating")
        found = choose(graph, train, device, last=last, residue=residue, seed=seed)
        scheme = found.scheme
    entries = build(graph, scheme, rate=rate, residue=residue)
    tell("compile", 0.0, "infer and train_step")
    program, host = device.compile(entries, out=folder), get_device("host").compile(entries)
    limit = device.limits.ram_bytes
    for each in (program, host):
        each.reset("train_step")
    before = accuracy(host, test)
    losses, equal = [], 0
    states = [s.name for s in entries["train_step"].states]
    for number, (x, label) in enumerate(train.drawn(steps, seed)):
        loss, _ = program.step(x, label, entry="train_step")
        host.step(x, label, entry="train_step")
        equal += all(program.state(name).tobytes() == host.state(name).tobytes() for name in states)
        losses.append(float(loss[0]))
        tell("train", (number + 1) / steps, f"step {number + 1}, loss {np.mean(losses[-20:]):.3f}")
    after = accuracy(host, test)
    tell("run", 1.0, "counting instructions")
    profile = program.profile(train.x[:1], train.labels[:1], entry="train_step")
    step = entries["train_step"]
    window = max(1, min(20, steps // 4))
    return {
        "scheme": {**scheme.to_json(), "layers": described(graph, scheme)},
        "steps": steps,
        "rate": rate,
        "residue": residue,
        "loss": {"first": float(np.mean(losses[:window])), "last": float(np.mean(losses[-window:])), "mean_of": window},
        "accuracy": {"before": before, "after": after, "samples": len(test.x)},
        "steps_byte_equal": equal,
        "memory": memory(step, planned_entries(entries)["train_step"]),
        "profile": profile.to_json(),
        "violations": [broken] if (broken := profile.broken(device.limits)) else [],
        "ram_limit": limit,
        "out": str(program.folder),
    }


def described(graph: Graph, scheme: Scheme) -> list[dict[str, Any]]:
    """The layers whose weights are updated, for people."""
    known = layers(graph)
    return [
        {"layer": index, "name": known[index].name, "kind": known[index].kind, "ratio": ratio,
         "channels": known[index].channels(ratio)}
        for index, ratio in scheme.weights
    ]  # fmt: skip
