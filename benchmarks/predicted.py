"""Predicted against measured memory: python -m benchmarks.predicted [--networks 50] [--space NAME] [--json].

Random networks of a space that fit a Cortex-M4, compiled with random weights: the cost model's arena, stack and Flash
beside those of the ELF, the stack painted and run.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from typing import Any

import numpy as np

from netwright import devices, spaces
from netwright.compress import quantise
from netwright.graph import Type


def measured(space: str, count: int, seed: int, side: int) -> list[dict[str, Any]]:
    """One row a network: bytes predicted and measured."""
    rng = np.random.default_rng(seed)
    device = devices.get("cortex-m4", ram="192KB", flash="512KB")
    chosen, rows = spaces.get(space), []
    while len(rows) < count:
        build = chosen.build(chosen.sample(rng), Type((1, 3, side, side)), Type((1, 10)))
        graph = build.graph
        if device.check(graph):
            continue
        store = graph.store.initialise(graph, len(rows))
        for param in graph.params:
            if param.value.name.endswith((".bias", ".mean")):  # as after training: no two alike
                store[param.tensor] = rng.normal(0, 0.1, param.value.shape).astype(np.float32)
        graph = graph.with_store(store)
        integer = quantise(graph, rng.random((4, 3, *graph.inputs[0].shape[2:]), np.float32))
        cost = device.cost(graph)
        with tempfile.TemporaryDirectory() as folder:
            found = device.compile(integer, out=folder).profile()
        rows.append(
            {
                "arena": (cost.ram_bytes["arena"], found.ram_bytes["arena"]),
                "stack": (cost.ram_bytes["stack"], found.ram_bytes["stack"]),
                "flash": (cost.flash_total, found.flash_total),
                "text": (cost.flash_bytes["text"], found.flash_bytes["text"]),
                "rodata": (cost.flash_bytes["rodata"], found.flash_bytes["rodata"]),
                "instructions": (cost.instructions, found.instructions),
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", type=int, default=50)
    parser.add_argument("--space", default="mobilenet")
    parser.add_argument("--side", type=int, default=64, help="of the task's images")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = measured(options.space, options.networks, options.seed, options.side)
    if options.json:
        print(json.dumps(rows))
        return
    for kind in ("arena", "stack"):
        off = [abs(a - b) for a, b in (r[kind] for r in rows)]
        print(f"{kind:13s} {sum(o == 0 for o in off)} of {len(off)} equal, at most {max(off):,} B off")
    for kind in ("flash", "instructions"):
        off = [abs(a - b) / b for a, b in (r[kind] for r in rows)]
        print(f"{kind:13s} median {statistics.median(off):.2%} off, at most {max(off):.2%}")


if __name__ == "__main__":
    main()
