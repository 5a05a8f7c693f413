"""Training on the device: python -m benchmarks.on_device_training [--only steps|memory|scaling] [--json] [--data DIR].

steps    real training steps on the emulated Cortex-M7 in 262,144 B: MCUNet's body with the published sparse scheme
         scaled to its depth, and a network of our own; parameters held against the NumPy reference after every step
memory   planned peak of the same step with fused, immediate and final updates, and torch's allocator peak beside it
scaling  int8 with and without quantisation-aware scaling and float fine-tuning on a transfer task (digits 0-4 to 5-9),
         each at its own best of five rates by validation accuracy

Published scheme: Lin et al. 2022, "On-Device Training Under 256KB Memory": of 42 convolutions biases of the last 22,
and weights of 21, 24, 27, 30, 36, 39 with ratios 1, 1, 1, 1, 1/8, 1/4.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import netwright
from benchmarks.recorded import cifar10, root
from netwright.compile.training import Residue, Scheme, body, build, layers, memory
from netwright.compress import integer_inputs, quantise
from netwright.devices.c import planned_entries
from netwright.graph import Builder, Graph, Type
from netwright.graph.ops import Conv, GlobalAveragePool, Linear, Relu, Reshape
from netwright.graph.torch import to_torch
from netwright.study.on_device import Data, accuracy
from netwright.systems.tiny_training_engine import scheme as published
from netwright.train import Recipe, train

RAM = 262_144
VEHICLES = (0, 1, 8, 9)
RATES = {
    "int8 + scaling": (0.002, 0.005, 0.01, 0.02, 0.05),
    "int8": (30.0, 100.0, 300.0, 1e3, 3e3),
    "float32": (0.002, 0.005, 0.01, 0.02, 0.05),
}


def vehicles(data: Path, part: str, count: int) -> Data:
    """CIFAR-10 as a task of two classes, living or vehicle, 80 x 80, half of each."""
    from PIL import Image

    images, labels = cifar10(data, part, 3 * count)
    kinds = np.isin(labels, VEHICLES).astype(np.int32)
    chosen = np.sort(np.concatenate([np.flatnonzero(kinds == k)[: count // 2] for k in (0, 1)]))
    large = [np.asarray(Image.fromarray(images[i]).resize((80, 80), Image.Resampling.BILINEAR)) for i in chosen]
    return Data((np.stack(large).astype(np.int16) - 128).astype(np.int8), kinds[chosen])


def digits(data: Path, wanted: range) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Some of MNIST: x float32 [n, 1, 28, 28] about zero, labels from 0, for training and for the test."""
    with np.load(data / "mnist" / "mnist.npz") as file:
        made: list[np.ndarray] = []
        for part in ("train", "test"):
            x, y = file[f"x_{part}"], file[f"y_{part}"].astype(np.int64)
            kept = (y >= wanted.start) & (y < wanted.stop)
            made += [(x[kept][:, None].astype(np.float32) - 33) / 79, y[kept] - wanted.start]
    return made[0], made[1], made[2], made[3]


def small_network(classes: int = 5) -> Graph:
    """Inverted bottlenecks without norms: 28 x 28 to 7 x 7, eight layers."""
    b = Builder("small-digits")
    x = b.input("x", Type((1, 1, 28, 28)))

    def conv(x: Any, out: int, kernel: int, stride: int, name: str, groups: int = 1, act: bool = True) -> Any:
        w = b.param(f"{name}.weight", (out, x.shape[1] // groups, kernel, kernel))
        bias = b.param(f"{name}.bias", (out,), init=netwright.graph.Init("constant", 0.0))
        pad = (kernel // 2,) * 4
        y = b(Conv((stride, stride), pad, groups=groups), x, w, bias, name=name)
        return b(Relu(), y) if act else y

    y = conv(x, 12, 3, 2, "stem")
    for number, (wide, out, stride) in enumerate(((36, 16, 2), (64, 24, 1))):
        y = conv(y, wide, 1, 1, f"block{number}.expand")
        y = conv(y, wide, 3, stride, f"block{number}.depthwise", groups=wide)
        y = conv(y, out, 1, 1, f"block{number}.project", act=False)
    flat = b(Reshape((0, -1)), b(GlobalAveragePool(), conv(y, 64, 1, 1, "last")))
    w, bias = b.param("head.weight", (classes, 64)), b.param("head.bias", (classes,))
    b.output(b(Linear(), flat, w, bias, name="head"))
    return b.graph()


def own_networks(data: Path) -> tuple[Graph, Graph]:
    """Our own network, trained on digits 0 to 4: as float and as int8."""
    x, y, *_ = digits(data, range(5))
    x, y = x[:12_000], y[:12_000]
    trained = train(small_network(), x, y, Recipe(epochs=3, batch=64, rate=2e-3), seed=0).graph
    return trained, body(quantise(trained, x[:256]))


def own_scheme(graph: Graph) -> Scheme:
    """All biases of the last six layers, and the weights of the pointwise and the linear ones among them."""
    known = layers(graph)
    chosen = [la for la in known[-6:] if la.kind in ("pointwise", "linear")]
    return Scheme(6, tuple((la.index, 1.0) for la in chosen))


def real_steps(graph: Graph, scheme: Scheme, data: Data, steps: int, rate: float, residue: Residue) -> dict[str, Any]:
    """Steps on the emulated core against the NumPy reference; RAM measured there."""
    entries = build(graph, scheme, rate=rate, residue=residue)
    device = netwright.device("cortex-m7", ram=str(RAM))
    runner, losses, equal = entries["train_step"].runner(), [], 0
    with tempfile.TemporaryDirectory() as folder:
        program = device.compile(entries, out=folder)
        program.reset("train_step")
        start = time.perf_counter()
        for x, label in data.drawn(steps, 0):
            expected = runner.step(x[None], np.array([label], np.int32))
            made = program.step(x, label, entry="train_step")
            alike = [a.tobytes() == b.tobytes() for a, b in zip(expected, made, strict=True)]
            equal += all(alike) and all(v.tobytes() == program.state(n).tobytes() for n, v in runner.states.items())
            losses.append(float(made[0][0]))
        seconds = time.perf_counter() - start
        profile = program.profile(data.x[:1], data.labels[:1], entry="train_step")
    return {
        "steps": steps,
        "steps_byte_equal": equal,
        "rate": rate,
        "scheme": scheme.to_json(),
        "residue": residue,
        "loss_first_20": float(np.mean(losses[:20])),
        "loss_last_20": float(np.mean(losses[-20:])),
        "ram_bytes": profile.ram_bytes,
        "ram_total": profile.ram_total,
        "ram_limit": RAM,
        "memory": memory(entries["train_step"], planned_entries(entries)["train_step"]),
        "instructions_a_step": profile.instructions,
        "compiler": profile.compiler,
        "seconds": round(seconds, 1),
    }


def steps_job(data: Path, networks: Callable[[], tuple[Graph, Graph]], count: int) -> dict[str, Any]:
    mcunet = body(netwright.load(data / "mcunet-models" / "mcunet_vww1.tflite"))
    pictures = vehicles(data, "train", 200)
    wide, own = networks()
    x, y, *_ = digits(data, range(5, 10))
    given = Data(integer_inputs(wide, own, x[:400])[0], y[:400].astype(np.int32))
    return {
        "mcunet_vww1 body, living or vehicle": real_steps(mcunet, published(mcunet), pictures, count, 1e-4, "int8"),
        "small-digits, 0-4 to 5-9": real_steps(own, own_scheme(own), given, count, 0.01, "int16"),
    }


def memory_job(data: Path, networks: Callable[[], tuple[Graph, Graph]]) -> dict[str, Any]:
    mcunet = body(netwright.load(data / "mcunet-models" / "mcunet_vww1.tflite"))
    own = networks()[1]
    rows = {}
    for name, graph, scheme in (
        ("mcunet_vww1 body", mcunet, published(mcunet)),
        ("small-digits", own, own_scheme(own)),
    ):
        plans = {}
        for schedule in ("fused", "immediate", "end"):
            entries = build(graph, scheme, residue="int8", schedule=schedule)  # type: ignore[arg-type]
            plans[schedule] = memory(entries["train_step"], planned_entries(entries)["train_step"])
        peaks = {schedule: plan["arena"] for schedule, plan in plans.items()}
        torch_peak = torch_step_peak(graph, scheme)
        rows[name] = {
            "peak": peaks,
            "fused_to_end": peaks["fused"] / peaks["end"],
            "immediate_to_end": peaks["immediate"] / peaks["end"],
            "parts": plans,
            "torch_peak": torch_peak,
            "torch_to_fused": torch_peak / peaks["fused"],
        }
    return rows


def torch_step_peak(graph: Graph, scheme: Scheme) -> int:
    """Bytes at the peak of torch's CPU allocator over the same step in float32, parameters included.

    The layers of the scheme are updated whole: torch has no gradient of a part of a tensor.
    """
    import torch

    parameters = float_parameters(graph)
    known = layers(graph)
    chosen = {known[i].name for i, _ in scheme.weights}
    last = {layer.name for layer in known[len(known) - scheme.biases :]}
    for layer in known:
        w, bias = parameters[layer.name]
        w.requires_grad_(layer.name in chosen)
        bias.requires_grad_(layer.name in last)
    trained = [p for pair in parameters.values() for p in pair if p.requires_grad]
    optimiser = torch.optim.SGD(trained, 1e-3)
    held = sum(p.numel() * 4 for pair in parameters.values() for p in pair)
    x = torch.zeros(graph.inputs[0].shape)
    loss = torch.nn.functional.cross_entropy(float_forward(graph, parameters, x), torch.zeros(1, dtype=torch.long))
    loss.backward()  # type: ignore[no-untyped-call]
    optimiser.step()
    optimiser.zero_grad(set_to_none=True)
    del loss
    activity = [torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=activity, profile_memory=True) as profiler:
        loss = torch.nn.functional.cross_entropy(float_forward(graph, parameters, x), torch.zeros(1, dtype=torch.long))
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    running = peak = 0
    for event in profiler.profiler.kineto_results.events():  # type: ignore[union-attr]
        if event.name() == "[memory]":
            running += event.nbytes()
            peak = max(peak, running)
    return held + 4 * x.numel() + peak


def float_parameters(graph: Graph) -> dict[str, Any]:
    """(weights [O, C, Kh, Kw] or [O, I], bias) of each layer in float32, dequantised."""
    import torch

    made = {}
    for layer in layers(graph):
        w, scale, bias = (graph.constant(v) for v in layer.node.inputs[1:])
        assert w is not None and scale is not None and bias is not None
        real = w.astype(np.float32) * scale.reshape(-1, *(1,) * (w.ndim - 1))
        real = real.transpose(0, 3, 1, 2) if w.ndim == 4 else real
        offset = bias * scale * layer.node.op.x.scale  # type: ignore[attr-defined]
        made[layer.name] = (torch.from_numpy(real.copy()), torch.from_numpy(offset.astype(np.float32)))
    return made


def float_forward(graph: Graph, parameters: dict[str, Any], x: Any) -> Any:
    """The float network that an int8 one stands for: its layers, and its ranges as activations."""
    from torch.nn import functional

    values = {graph.inputs[0]: x.permute(0, 3, 1, 2)}
    for node in graph.nodes:
        op: Any = node.op
        given = [values[v] for v in node.inputs if v in values]
        if op.name == "q_conv":
            top, left, bottom, right = op.padding
            w, bias = parameters[node.name]
            image = functional.pad(given[0], (left, right, top, bottom)) if any(op.padding) else given[0]
            y = functional.conv2d(image, w, bias, op.stride, 0, op.dilation, op.groups)
        elif op.name == "q_linear":
            y = functional.linear(given[0].flatten(1), *parameters[node.name])
        elif op.name == "q_add":
            y = given[0] + given[1]
        elif op.name == "q_average_pool":
            y = functional.avg_pool2d(given[0], op.kernel, op.stride)
        elif op.name == "q_mean":
            y = given[0].mean((2, 3)) if given[0].dim() == 4 else given[0]
        else:
            y = given[0]  # changes of layout
        quant = node.output.type.quant
        if op.name == "q_conv" and quant is not None and quant.zero == -128:
            y = functional.relu(y)
        values[node.output] = y
    return values[graph.outputs[0]]


def scaling_job(data: Path, networks: Callable[[], tuple[Graph, Graph]], count: int, seeds: int) -> dict[str, Any]:
    """Test accuracy of each arm at the rate that is best on validation samples, and of int8 alone at scaling's rate."""
    wide, own = networks()
    x, y, x_test, y_test = digits(data, range(5, 10))
    given, given_test = (integer_inputs(wide, own, part)[0] for part in (x[: count + 1000], x_test))
    labels = y[: count + 1000].astype(np.int32)
    train_set, validation = Data(given[1000:], labels[1000:]), Data(given[:1000], labels[:1000])
    test_set = Data(given_test, y_test.astype(np.int32))
    known, scheme = layers(own), own_scheme(own)
    names = [known[i].name for i, _ in scheme.weights], [layer.name for layer in known[len(known) - scheme.biases :]]
    arms: dict[str, dict[float, list[tuple[float, float]]]] = {name: {} for name in RATES}
    for name, rates in RATES.items():
        for rate in rates:
            for seed in range(seeds):
                if name == "float32":
                    found = float_arm(wide, names, x, y, x_test, y_test, rate, seed, count)
                else:
                    found = int8_arm(own, train_set, validation, test_set, rate, seed, name != "int8")
                arms[name].setdefault(rate, []).append(found)
    rows: dict[str, Any] = {"steps": count, "seeds": seeds, "scheme": scheme.to_json()}
    for name, found_by_rate in arms.items():
        means = {rate: tuple(np.mean(found, axis=0).tolist()) for rate, found in found_by_rate.items()}
        best = max(means, key=lambda rate: means[rate][0])
        by_rate = {str(rate): mean for rate, mean in means.items()}
        rows[name] = {"best_rate": best, "test_accuracy": means[best][1], "by_rate (validation, test)": by_rate}
    rows["scaling_below_float32"] = rows["float32"]["test_accuracy"] - rows["int8 + scaling"]["test_accuracy"]
    before = netwright.device("host").compile(build(own, scheme, rate=0.0))
    before.reset("train_step")
    rows["before"] = accuracy(before, test_set)
    rows["int8 at the rate of scaling"] = float(
        np.mean([
            int8_arm(own, train_set, validation, test_set, rows["int8 + scaling"]["best_rate"], seed, False)[1]
            for seed in range(seeds)
        ])
    )  # fmt: skip
    return rows


def int8_arm(
    graph: Graph, data: Data, validation: Data, test: Data, rate: float, seed: int, scaling: bool
) -> tuple[float, float]:
    """(validation, test) accuracy after one pass of single-sample steps in host C, the core's equal to the byte."""
    program = netwright.device("host").compile(build(graph, own_scheme(graph), rate=rate, scaling=scaling))
    program.reset("train_step")
    for x, label in data.drawn(len(data.x), seed):
        program.step(x, label, entry="train_step")
    return accuracy(program, validation), accuracy(program, test)


def float_arm(
    graph: Graph,
    names: tuple[list[str], list[str]],
    x: np.ndarray,
    y: np.ndarray,
    x_test: np.ndarray,
    y_test: np.ndarray,
    rate: float,
    seed: int,
    count: int,
) -> tuple[float, float]:
    """The same steps on the float network: same samples in the same order, weights and biases of the layers `names`."""
    import torch

    module = to_torch(graph)
    module.requires_grad_(False)
    trained = [module.tensor(f"{n}.{part}") for part, of in zip(("weight", "bias"), names, strict=True) for n in of]
    for tensor in trained:
        tensor.requires_grad_(True)
    optimiser = torch.optim.SGD(trained, rate)
    inputs, labels = torch.from_numpy(x[: count + 1000]), torch.from_numpy(y[: count + 1000])
    for i in np.random.default_rng(seed).permutation(count):
        loss = torch.nn.functional.cross_entropy(module(inputs[1000 + i : 1001 + i]), labels[1000 + i : 1001 + i])
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    with torch.no_grad():
        held, tested = module(inputs[:1000]).argmax(1), module(torch.from_numpy(x_test)).argmax(1)
    right = float((held == labels[:1000]).float().mean())
    return right, float((tested.numpy() == y_test).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=("steps", "memory", "scaling"))
    parser.add_argument("--steps", type=int, default=100, help="on the emulated core")
    parser.add_argument("--samples", type=int, default=3000, help="single-sample steps of the transfer task")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--data")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    data = root(options.data)
    made: list[tuple[Graph, Graph]] = []

    def networks() -> tuple[Graph, Graph]:
        """Trained once, when first asked for."""
        if not made:
            made.append(own_networks(data))
        return made[0]

    jobs: dict[str, Callable[[], dict[str, Any]]] = {
        "memory": lambda: memory_job(data, networks),
        "scaling": lambda: scaling_job(data, networks, options.samples, options.seeds),
        "steps": lambda: steps_job(data, networks, options.steps),
    }
    found = {name: job() for name, job in jobs.items() if options.only in (None, name)}
    if options.json:
        print(json.dumps(found))
        return
    for name, rows in found.items():
        print(f"{name}:")
        for row, value in rows.items():
            print(f"  {row}: {json.dumps(value)}")


if __name__ == "__main__":
    main()
