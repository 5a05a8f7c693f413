"""The memory planner on random branching networks: python -m benchmarks.planner [--networks 200] [--seed 0] [--json].

Networks of 5 to 120 int8 layers (convolutions, depthwise ones, sums, concatenations, pools) where a layer may read any
of the last few values, so that branches of different lengths meet again. For each: the arena as planned, the bound that
no placement in the same order can go below (overlaps counted), the arena without reordering, and the seconds; where the
bound is missed, whether an exhaustive search proves that no placement is smaller (`exact`). Then networks of about 300
nodes, timed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from typing import Any

import numpy as np

from benchmarks.exact import impossible
from netwright.compile.memory import _buffers, _gaps, _pairs
from netwright.compile.placement import ALIGNMENT
from netwright.devices.c import planned, reordered
from netwright.devices.c.overlap import overlap
from netwright.devices.c.source import _scratch_bytes
from netwright.graph import Builder, Graph, Quant, Type, Value
from netwright.graph.ops.int8.conv import QConv
from netwright.graph.ops.int8.elementwise import QAdd
from netwright.graph.ops.int8.pool import QMaxPool
from netwright.graph.ops.shape import Concat

Q = Quant(0.1, 0)


def conv(b: Builder, x: Value, outputs: int, kernel: int, stride: int = 1, depthwise: bool = False) -> Value:
    """A padded convolution, without contents."""
    channels = x.shape[3]
    outputs = channels if depthwise else outputs
    pad = kernel // 2
    w = b.param("w", (outputs, kernel, kernel, 1 if depthwise else channels), dtype="int8", init=None, trainable=False)
    s = b.param("s", (outputs,), init=None, trainable=False)
    bias = b.param("b", (outputs,), dtype="int32", init=None, trainable=False)
    op = QConv((stride, stride), (pad,) * 4, (1, 1), channels if depthwise else 1, Q, Q)
    return b(op, x, w, s, bias)  # type: ignore[no-any-return]


def network(rng: np.random.Generator, layers: int) -> Graph:
    """A random network of about so many layers that ends in one value."""
    b = Builder("net")
    size = int(rng.choice((8, 16, 24, 32)))
    values = [conv(b, b.input("x", Type((1, size, size, int(rng.choice((3, 8, 16)))), "int8", Q)), 8, 3)]
    unread = {values[0]}
    reach = int(rng.integers(2, 7))

    def recent() -> Value:
        return values[int(rng.integers(max(0, len(values) - reach), len(values)))]

    while len(values) < layers:
        x = recent()
        kind = rng.random()
        alike = [v for v in values[-reach:] if v is not x and v.shape == x.shape]
        beside = [v for v in values[-reach:] if v is not x and v.shape[:3] == x.shape[:3]]
        read = [x]
        if kind < 0.25 and alike:
            read.append(alike[int(rng.integers(len(alike)))])
            y = b(QAdd(Q, Q, Q), *read)
        elif kind < 0.35 and beside and x.shape[3] < 96:
            read.append(beside[int(rng.integers(len(beside)))])
            y = b(Concat(3), *read)
        elif kind < 0.5:
            y = conv(b, x, 0, int(rng.choice((3, 5))), depthwise=True)
        elif kind < 0.55 and x.shape[1] >= 8:
            y = b(QMaxPool((2, 2), (2, 2)), x)
        else:
            stride = 2 if rng.random() < 0.1 and x.shape[1] >= 8 else 1
            y = conv(b, x, int(rng.choice((4, 8, 16, 24, 48))), int(rng.choice((1, 1, 3))), stride)
        unread.difference_update(read)
        unread.add(y)
        values.append(y)
    ends = sorted(unread, key=values.index)
    while len(ends) > 1:  # all that is left meets
        x, y = ends.pop(0), ends.pop(0)
        while x.shape[1] > y.shape[1]:
            x = b(QMaxPool((2, 2), (2, 2)), x)
        while y.shape[1] > x.shape[1]:
            y = b(QMaxPool((2, 2), (2, 2)), y)
        ends.append(b(QAdd(Q, Q, Q), conv(b, x, 16, 1), conv(b, y, 16, 1)))
    b.output(ends[0])
    return b.graph()


def measured(graph: Graph) -> dict[str, Any]:
    """One network: bytes and seconds."""
    before = planned(graph)
    start = time.perf_counter()
    after = planned(reordered(graph))
    return {
        "layers": len(graph.nodes),
        "bytes": after.bytes,
        "bound": after.bound,
        "as_given": before.bytes,
        "seconds": time.perf_counter() - start,
    }


def proven(graph: Graph) -> bool:
    """Whether an exhaustive search proves that no placement of the network as ordered is smaller than the planned."""
    ordered = reordered(graph)
    lying = _buffers(ordered, _scratch_bytes)
    gaps = _gaps(lying.buffers, _pairs(ordered, lying, overlap))
    return impossible(lying.buffers, gaps, planned(ordered).bytes - ALIGNMENT)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    rows = []
    for _ in range(options.networks):
        graph = network(rng, int(rng.integers(5, 121)))
        row = measured(graph)
        rows.append({**row, "proven": row["bytes"] == row["bound"] or proven(graph)})
    large = [measured(network(rng, layers)) for layers in (160, 170, 180, 190, 280)]
    if options.json:
        print(json.dumps({"networks": rows, "large": large}))
        return
    over = [r["bytes"] / r["bound"] - 1 for r in rows]
    met = sum(o == 0 for o in over)
    saved = statistics.mean(1 - r["bytes"] / r["as_given"] for r in rows)
    print(f"{met} of {len(rows)} networks at the bound ({met / len(rows):.1%}), worst {max(over):.2%} above")
    shown = sum(r["proven"] for r in rows) - met
    print(f"{shown} of the other {len(rows) - met} proven optimal above the bound by exhaustive search")
    print(f"reordering saves {saved:.1%} of the arena in the mean; slowest {max(r['seconds'] for r in rows):.2f} s")
    for row in large:
        print(f"{row['layers']} nodes: {row['bytes']:,} B, bound {row['bound']:,} B, {row['seconds']:.2f} s")
    about = [r["seconds"] for r in (*rows, *large) if 250 <= r["layers"] <= 350]
    print(f"slowest of {len(about)} with 250 to 350 nodes: {max(about, default=0):.2f} s")


if __name__ == "__main__":
    main()
