"""A vision transformer on a microcontroller, measured: python -m benchmarks.vit [--epochs 9] [--emulated 300] [--json].

One network of the space `vit` is trained on MNIST's training set, quantised and compiled for a Cortex-M7 of 64 KB RAM
and 256 KB Flash. Printed: test accuracy of the int8 program (all 10,000 images as C on this machine), byte-equality of
reference, host and emulated core, what the program takes, and three memory plans of the same network:
  every tensor    each activation in a buffer of its own, as ops one after the other would leave them
  unfused         the best plan of the same ops, with scores [heads, N, N] and hidden features [N, ratio * E]
  planned         as compiled: attention a row of scores at a time, linear pairs a token at a time
Recorded data are found in --data, NETWRIGHT_DATA or ../shared/data. Use OMP_NUM_THREADS to pin threads.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.main_job import mnist
from netwright import devices
from netwright.compile import pads
from netwright.compress import integer_inputs, quantise
from netwright.devices.c import arranged, planned, reordered
from netwright.graph import Graph, Type, load, save
from netwright.graph.ops.int8.attention import QAttention
from netwright.graph.ops.int8.feed_forward import QFeedForward
from netwright.spaces.zoo import vit
from netwright.train import Recipe, train
from netwright.train.recipe import Augment

LIMITS = {"ram": "64KB", "flash": "256KB"}
CALIBRATION = 512  # training images


def network(options: argparse.Namespace) -> Graph:
    """The float network, without contents."""
    block = {"heads": options.heads, "ratio": options.ratio}
    structure = {
        "patches": options.patches, "width": options.width, "rank": options.rank, "blocks": [block] * options.depth
    }  # fmt: skip
    return vit.build(structure, Type((1, 1, 28, 28)), Type((1, 10))).graph


def images(x: np.ndarray) -> np.ndarray:
    """[n, 28, 28] of bytes as [n, 1, 28, 28] of 0 to 1."""
    return (x.astype(np.float32) / 255)[:, None]


def trained(options: argparse.Namespace, data: dict[str, np.ndarray]) -> Graph:
    """Trained on the training set alone; or, with --trained, as an earlier run saved it."""
    if options.trained:
        return load(options.trained)
    recipe = Recipe(
        options.epochs, 128, rate=3e-3, decay=0.05, warmup=0.1, ema=0.995, augment=Augment(10, 0.1, 0.1, 2.0)
    )
    return train(network(options), images(data["x_train"]), data["y_train"].astype(np.int64), recipe).graph


def memory(quantised: Graph) -> dict[str, int]:
    """Bytes of arena of the three plans, and the largest tensor of the last two."""
    plain, ready = reordered(pads.fold(quantised)), arranged(quantised)
    made = [v.type.bytes for n in plain.nodes if not n.op.is_view for v in n.outputs]
    return {
        "every_tensor": sum(v.type.bytes for v in plain.inputs) + sum(made),
        "unfused": planned(plain).bytes,
        "planned": planned(ready).bytes,
        "largest_tensor_unfused": max(made),
        "largest_tensor_planned": max(v.type.bytes for n in ready.nodes for v in n.outputs),
    }


def measured(options: argparse.Namespace) -> dict[str, Any]:
    """Train, quantise, compile, run."""
    with np.load(mnist(options.data)) as file:
        data = {name: file[name] for name in file.files}
    started = time.monotonic()
    graph = trained(options, data)
    seconds = time.monotonic() - started
    if options.save:
        save(graph, options.save)
    rows = np.linspace(0, len(data["x_train"]) - 1, CALIBRATION).astype(int)
    quantised = quantise(graph, images(data["x_train"][rows]))
    (codes,) = integer_inputs(graph, quantised, images(data["x_test"]))
    wanted = np.concatenate([quantised.run(codes[i : i + 100])[0] for i in range(0, len(codes), 100)])
    host = _outputs(devices.get("host").compile(quantised), codes)
    with tempfile.TemporaryDirectory() as folder:
        program = devices.get("cortex-m7", **LIMITS).compile(quantised, out=Path(folder))
        core = _outputs(program, codes[: options.emulated])
        profile = program.profile(codes[:1])
    ready = arranged(quantised)
    count = {kind.name: sum(isinstance(n.op, kind) for n in ready.nodes) for kind in (QAttention, QFeedForward)}
    attention = next(n for n in ready.nodes if isinstance(n.op, QAttention))
    return {
        "tokens": attention.output.shape[1],
        "fused": count,
        "macs": graph.macs,
        "parameters": sum(p.value.type.size for p in graph.params),
        "train_seconds": round(seconds),
        "accuracy_int8": float((host.argmax(1) == data["y_test"]).mean()),
        "host_equal": [int((host == wanted).all(1).sum()), len(codes)],
        "core_equal": [int((core == wanted[: len(core)]).all(1).sum()), len(core)],
        "ram_bytes": profile.ram_bytes,
        "flash_bytes": profile.flash_bytes,
        "instructions": profile.instructions,
        "latency_ms_modelled": profile.latency_ms_modelled,
        "memory": memory(quantised),
    }


def _outputs(program: Any, codes: np.ndarray) -> np.ndarray:
    """Logits int8 [n, K]."""
    return np.asarray(program.run(codes)).reshape(len(codes), -1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--patches", type=int, default=7, help="along a side; their square is the number of tokens")
    parser.add_argument("--width", type=int, default=48)
    parser.add_argument("--depth", type=int, default=3)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--ratio", type=int, default=2)
    parser.add_argument("--rank", type=float, default=1.0, help="of linear maps; 1: dense")
    parser.add_argument("--epochs", type=float, default=9)
    parser.add_argument("--emulated", type=int, default=300, help="test images that the emulated core runs")
    parser.add_argument("--data", help="folder of recorded data")
    parser.add_argument("--save", help="folder to keep the trained float network in")
    parser.add_argument("--trained", help="such a folder: no training")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = measured(options)
    if options.json:
        print(json.dumps(found))
        return
    plans, ram, flash = found["memory"], found["ram_bytes"], found["flash_bytes"]
    print(f"network       {found['tokens']} tokens, depth {found['fused']['q_attention']}, {found['macs']:,} MACs")
    print(f"accuracy      {100 * found['accuracy_int8']:.2f} % of 10,000 test images, int8, as C")
    for where in ("host", "core"):
        same, all_ = found[f"{where}_equal"]
        print(f"byte-equal    reference and {where}: {same:,} of {all_:,} images")
    print(f"RAM           {sum(ram.values()):,} B ({', '.join(f'{k} {v:,}' for k, v in ram.items())})")
    print(f"Flash         {sum(flash.values()):,} B ({', '.join(f'{k} {v:,}' for k, v in flash.items())})")
    print(f"instructions  {found['instructions']:,}, {found['latency_ms_modelled']:.1f} ms (modelled)")
    for kind in ("every_tensor", "unfused"):
        print(f"arena         {plans['planned']:,} B; {kind} {plans[kind]:,} B, {plans[kind] / plans['planned']:.2f} x")
    print(f"largest tensor {plans['largest_tensor_planned']:,} B; unfused {plans['largest_tensor_unfused']:,} B")


if __name__ == "__main__":
    main()
