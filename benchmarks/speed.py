"""Start-up and search speed: python -m benchmarks.speed [--json].

Prints four figures: the time of `netwright --help` and `netwright check` as whole processes (median of 7, and whether
they load torch), building and structure-hashing a 150-node graph, and candidates a second that the `mobilenet` space
samples, builds, checks and costs for a Cortex-M4 on one core.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

from netwright import devices, spaces
from netwright.compress import quantise
from netwright.graph import OPS, Builder, Graph, Type, save


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


def candidates(count: int = 500) -> float:
    """Candidates a second, new ones each time."""
    space, device = spaces.get("mobilenet"), devices.get("cortex-m4", ram="128KB", flash="512KB", latency="500ms")
    rng = np.random.default_rng(0)
    x, y = Type((1, 3, 96, 96)), Type((1, 10))
    start = time.perf_counter()
    for _ in range(count):
        graph = space.build(space.sample(rng), x, y).graph
        device.check(graph)
        device.cost(graph)
    return count / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
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
