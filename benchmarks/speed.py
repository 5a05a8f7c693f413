"""Start-up and search speed: python -m benchmarks.speed [--json].

Prints the time of `netwright --help` and `netwright check` as whole processes (median of 7; do they load torch?), of
building and structure-hashing a 150-node graph, candidates a second that the `mobilenet` space samples, builds, checks
and costs for a Cortex-M4 on one core; and, where recorded models are found (--data, NETWRIGHT_DATA, ../shared/data), of
checking a 300 KB TFLite file on all devices and of loading a 3.6 MB one, beside LiteRT's interpreter on the same file.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import netwright
from benchmarks.recorded import root
from netwright import devices, spaces
from netwright.compress import quantise
from netwright.graph import OPS, Builder, Graph, Type, save
from netwright.study.search import settled


def whole_process(*arguments: str, runs: int = 7) -> float:
    """Median seconds of a command."""
    times = []
    for _ in range(runs + 1):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "netwright", *arguments], check=True, capture_output=True)
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def loads_torch(*arguments: str) -> bool:
    """Whether a command imports torch."""
    code = (
        "import sys\nfrom netwright.cli import main\n"
        f"try:\n    main({list(arguments)!r})\nexcept SystemExit:\n    pass\n"
        "print('torch' in sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stderr.strip().endswith("True")


def graph_150() -> Graph:
    """50 blocks of convolution, relu and addition."""
    b = Builder("net")
    x = b.input("x", Type((1, 8, 16, 16)))
    for i in range(50):
        with b.scope(f"l{i}"):
            y = b(OPS["conv"]((1, 1), (1, 1, 1, 1)), x, b.param("w", (8, 8, 3, 3)), b.param("b", (8,)))
            x = b(OPS["add"](), b(OPS["relu"](), y), x)
    b.output(x)
    return b.graph()


def build_and_hash(runs: int = 300) -> float:
    """Median milliseconds."""
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        graph = graph_150()
        _ = graph.structure_hash
        times.append(time.perf_counter() - start)
    assert len(graph.nodes) == 150
    return statistics.median(times) * 1e3


def candidates(count: int = 200, runs: int = 7) -> float:
    """Candidates a second, as a study's search makes them: new ones each time, when the modules are loaded; median."""
    space, device = spaces.get("mobilenet"), devices.get("cortex-m4", ram="128KB", flash="512KB", latency="500ms")
    rng = np.random.default_rng(0)
    x, y = Type((1, 3, 96, 96)), Type((1, 10))
    device.check(space.build(space.sample(rng), x, y).graph)
    rates = []
    with settled():
        for _ in range(runs):
            start = time.perf_counter()
            for _ in range(count):
                graph = space.build(space.sample(rng), x, y).graph
                device.check(graph)
                device.cost(graph)
            rates.append(count / (time.perf_counter() - start))
    return statistics.median(rates)


def loading(path: Path, runs: int = 9) -> tuple[float, float]:
    """Median seconds to load a TFLite file: ours, and LiteRT's interpreter with its tensors allocated; interleaved."""
    from ai_edge_litert.interpreter import Interpreter

    ours, theirs = [], []
    for _ in range(runs + 1):
        start = time.perf_counter()
        netwright.load(path)
        middle = time.perf_counter()
        Interpreter(str(path), num_threads=1).allocate_tensors()
        ours.append(middle - start)
        theirs.append(time.perf_counter() - middle)
    return statistics.median(ours[1:]), statistics.median(theirs[1:])


def model_files(data: str | None) -> list[tuple[str, float, str, float, str]]:
    """The rows about recorded models; none where they are not at hand."""
    try:
        place = root(data)
    except SystemExit:
        return []
    small = place / "tflm-models/person_detect.tflite"
    large = place / "coral-imagenet-models/mobilenet_v2_1.0_224_quant.tflite"
    ours, theirs = loading(large)
    print(f"loading {large.name}: {ours * 1e3:.0f} ms, LiteRT's interpreter {theirs * 1e3:.0f} ms", file=sys.stderr)
    return [
        (f"netwright check {small.name}, all devices", whole_process("check", str(small)), "s", 1.5, "at most"),
        (f"load {large.name}", ours, "s", 0.5, "at most"),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        graph = (
            spaces.get("conv-small")
            .build(spaces.get("conv-small").sample(np.random.default_rng(0)), Type((1, 1, 28, 28)), Type((1, 10)))
            .graph
        )
        graph = graph.with_store(graph.store.initialise(graph))
        save(quantise(graph, np.random.default_rng(0).random((8, 1, 28, 28), np.float32)), folder)
        rows = [
            ("netwright --help", whole_process("--help"), "s", 0.3, "at most"),
            ("netwright check, all devices", whole_process("check", folder), "s", 1.5, "at most"),
            ("150-node graph, build and structure hash", build_and_hash(), "ms", 1.0, "at most"),
            ("mobilenet: sample, build, check, cost", candidates(), "candidates/s", 300.0, "at least"),
        ]
        rows += model_files(options.data)
        torch = {"--help": loads_torch("--help"), "check": loads_torch("check", folder)}
    if options.json:
        print(
            json.dumps(
                {"rows": [dict(zip(("what", "value", "unit", "bar", "sense"), r)) for r in rows], "torch": torch}
            )
        )
        return
    for what, value, unit, bar, sense in rows:
        ratio = value / bar
        print(f"{what:45s} {value:10.3f} {unit:13s} {sense} {bar:g}  ({ratio:.2f} of the bar)")
    print(f"imports torch: {torch}")


if __name__ == "__main__":
    main()
