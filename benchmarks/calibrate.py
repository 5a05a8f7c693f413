"""Fit the Cortex-M cost model to the emulator: python -m benchmarks.calibrate [--layers N] [--families a,b] [--write].

Random single layers are compiled, run and counted; two thirds fit the coefficients (non-negative least squares), the
rest tell the error. With --write the coefficients replace netwright/devices/cortex_m/costs.toml; with --families only
those of the named families, the others stay as they are.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import nnls

import netwright.devices.cortex_m.cost as model
from netwright.devices import get
from netwright.devices.c.choice import kernel
from netwright.devices.c.toolchain import version
from netwright.graph import Builder, Graph, Quant, Type, Value
from netwright.graph.ops import OPS
from netwright.tasks.mel import LogMel

CORES = ("cortex-m0plus", "cortex-m4", "cortex-m7")
X, W, Y = Quant(0.02, -3), Quant(0.01, 4), Quant(0.05, -7)


def layer(family: str, rng: np.random.Generator) -> Graph:
    """One random layer of a family as an int8 graph with weights."""
    b = Builder("layer")

    def image(c: int, largest: int = 12) -> Any:
        return b.input("x", Type((1, int(rng.integers(3, largest)), int(rng.integers(3, largest)), c), "int8", X))

    def tensor(name: str, shape: tuple[int, ...], dtype: str) -> Any:
        value = b.param(name, shape, dtype=dtype, init=None, trainable=False)
        bound = 2000 if dtype == "int32" else 127
        data = rng.uniform(0.001, 0.02, shape) if dtype == "float32" else rng.integers(-bound, bound + 1, shape)
        b.store[name] = data.astype(dtype)
        return value

    def channels() -> int:
        return int(rng.choice([1, 3, 4, 6, 8, 10, 12, 16, 20, 24, 32, 40]))

    if family == "conv_transpose":
        c, o, k, s = channels(), channels() + 1, int(rng.integers(2, 5)), int(rng.integers(1, 3))
        pad, more = int(rng.integers(0, 2)) * (k // 2), int(rng.integers(0, s))
        x, w = image(c, 8), tensor("w", (o, k, k, c), "int8")
        op = OPS["q_conv_transpose"](stride=(s, s), padding=(pad,) * 4, output_padding=(more, more), x=X, out=Y)
        y = b(op, x, w, tensor("s", (o,), "float32"), tensor("b", (o,), "int32"))
    elif family in ("conv", "depthwise", "depthwise_any", "grouped"):
        c, o = channels(), channels() + int(rng.integers(0, 2))
        k, s = int(rng.choice([1, 3, 5])), int(rng.integers(1, 3))
        groups = 1
        spread = 1
        if family.startswith("depthwise"):
            k = int(rng.choice([3, 5]))
            o = groups = c = max(2, c)
            spread = 1 if family == "depthwise" else 2
        elif family == "grouped":
            groups = 2
            c, o = 2 * c + 2, 2 * o
        pad = k // 2 * int(rng.integers(0, 2))
        x = b.input("x", Type((1, *(int(v) for v in rng.integers(spread * k, 14, 2)), c), "int8", X))
        w = tensor("w", (o, k, k, c // groups), "int8")
        low = int(rng.choice([-128, Y.zero]))
        op = OPS["q_conv"](
            stride=(s, s), padding=(pad,) * 4, dilation=(spread, spread), groups=groups, x=X, out=Y, low=low
        )
        y = b(op, x, w, tensor("s", (o,), "float32"), tensor("b", (o,), "int32"))
    elif family == "mean":
        y = b(OPS["q_mean"](x=X, out=Y), image(channels()))
    elif family == "extreme":
        y = b(OPS["q_extreme"](largest=bool(rng.integers(2))), image(channels()))
    elif family == "matmul":
        m, k, n = (int(v) for v in rng.integers(2, 24, 3))
        y = b(OPS["q_matmul"](X, W, Y), b.input("x", Type((m, k), "int8", X)), b.input("z", Type((k, n), "int8", W)))
    elif family == "resize_bilinear":
        y = b(OPS["q_resize_bilinear"](size=tuple(int(v) for v in rng.integers(2, 20, 2))), image(channels(), 8))
    elif family == "lstm":
        n, i, h = 1, int(rng.integers(3, 40)), int(rng.integers(2, 24))
        x = b.input("x", Type((n, int(rng.integers(1, 6)), i), "int8", X))
        kept, cell = b.input("h", Type((n, h), "int8", W)), b.input("c", Type((n, h), "int16", Quant(2.0**-11, 0)))
        weights = (tensor("w_x", (4 * h, i), "int8"), tensor("w_h", (4 * h, h), "int8"), tensor("b", (4 * h,), "int32"))
        y = b(OPS["q_lstm"](X, W, W, (0.01,) * 4, (0.01,) * 4), x, kept, cell, *weights)[0]
    elif family == "svdf":
        i, rank, units, memory = (int(v) for v in rng.integers((3, 1, 2, 2), (60, 3, 24, 12)))
        x, z = b.input("x", Type((1, i), "int8", X)), Quant(0.002, 0)
        kept = b.input("z", Type((1, units * rank * memory), "int16", z))
        weights = (
            tensor("w", (units * rank, i), "int8"),
            tensor("t", (units * rank, memory), "int16"),
            tensor("b", (units,), "int32"),
        )
        y = b(OPS["q_svdf"](rank, X, z, Y, 0.01, 0.01), x, kept, *weights)[0]
    elif family == "softmax":
        rows, n = int(rng.integers(1, 5)), int(rng.integers(2, 60))
        y = b(OPS["q_softmax"](x=X), b.input("x", Type((1, rows, n), "int8", X)))
    elif family == "attention":
        heads, width, depth, tokens, keys = (int(v) for v in rng.integers((1, 2, 2, 2, 4), (4, 24, 24, 9, 60)))
        sides = ((tokens, width), (keys, width), (keys, depth))
        q, k, v = (b.input(n, Type((1, rows, heads * size), "int8", X)) for n, (rows, size) in zip("qkv", sides))
        y = b(OPS["q_attention"](heads, width, depth, (0, 0, 0), X, X, X, Y, Y, 1.0, W), q, k, v)
    elif family == "feed_forward":
        n, i, h, o = (int(v) for v in rng.integers((2, 4, 4, 4), (9, 60, 100, 60)))
        weights = [
            (tensor(f"{side}.w", s, "int8"), tensor(f"{side}.s", s[:1], "float32"), tensor(f"{side}.b", s[:1], "int32"))
            for side, s in (("in", (h, i)), ("out", (o, h)))
        ]
        table = tensor("t", (256,), "int8") if rng.random() < 0.7 else None
        op = OPS["q_feed_forward"](X, Y, W if table else Y, Y)
        y = b(op, b.input("x", Type((n, i), "int8", X)), *weights[0], table, *weights[1])
    elif family == "norm":
        n, c = int(rng.integers(2, 30)), int(rng.integers(4, 100))
        ends = (tensor("scale", (c,), "int16"), tensor("bias", (c,), "int32"))
        y = b(OPS["q_group_norm"](x=X, out=Y, step=0.01), b.input("x", Type((n, c), "int8", X)), *ends)
    elif family == "arg_max":
        y = b(OPS["q_arg_max"](axis=int(rng.choice([1, -1]))), image(max(2, channels())))
    elif family == "quantise":
        y = b(OPS["quantise"](Y), b.input("x", Type((1, int(rng.integers(4, 400))))))
    elif family == "dequantise":
        y = b(OPS["dequantise"](X), b.input("x", Type((1, int(rng.integers(4, 400))), "int8", X)))
    elif family == "linear":
        i, o = int(rng.integers(4, 400)), int(rng.integers(1, 40))
        x = b.input("x", Type((1, i), "int8", X))
        y = b(
            OPS["q_linear"](x=X, out=Y),
            x,
            tensor("w", (o, i), "int8"),
            tensor("s", (o,), "float32"),
            tensor("b", (o,), "int32"),
        )
    elif family in ("max_pool", "average_pool"):
        k, s = int(rng.integers(2, 4)), int(rng.integers(1, 3))
        pad = int(rng.integers(0, 2)) * (k // 2)
        y = b(OPS[f"q_{family}"](kernel=(k, k), stride=(s, s), padding=(pad,) * 4), image(channels()))
    elif family in ("sums", "sum", "product"):
        x = image(channels())
        z = b.input("z", Type(x.shape, "int8", W))
        y = b(OPS[{"sums": "q_add", "sum": "q_sub", "product": "q_mul"}[family]](x=X, y=W, out=Y), x, z)
    elif family == "requantise":
        y = b(OPS["q_requantise"](x=X, out=Y), image(channels()))
    elif family == "lookup":
        y = b(OPS["q_lookup"](out=Y), image(channels()), tensor("t", (256,), "int8"))
    elif family == "normalise":
        x = b.input("x", Type((1, int(rng.integers(4, 200)), int(rng.integers(1, 8))), "int16"))
        sizes = ((-2000, 2000), (1 << 30, (1 << 31) - 1), (-9, 1))
        tables = [b.constant(rng.integers(*size, x.shape[-1:]).astype(np.int32), "table") for size in sizes]
        y = b(OPS["q_normalise"](Y), x, *tables)
    elif family == "log_mel":
        rate, mels = int(rng.choice([2000, 4000, 8000])), int(rng.integers(8, 41))
        window, hop = (float(v) for v in rng.integers((20, 8), (60, 40)))
        return LogMel(rate, int(rate * rng.uniform(0.1, 0.5)), window, hop, mels).graph()
    elif family == "copy":
        x = image(channels())
        y = b(OPS["concat"](axis=3), x, b.input("z", x.type))
    else:
        y = b(OPS["transpose"](permutation=(0, 3, 1, 2)), image(max(2, channels())))
    b.output(y)
    return b.graph()


FAMILIES = (
    "conv",
    "depthwise",
    "depthwise_any",
    "grouped",
    "linear",
    "max_pool",
    "average_pool",
    "sums",
    "sum",
    "product",
    "requantise",
    "lookup",
    "copy",
    "move",
    "conv_transpose",
    "mean",
    "extreme",
    "softmax",
    "arg_max",
    "quantise",
    "dequantise",
    "matmul",
    "resize_bilinear",
    "lstm",
    "svdf",
    "log_mel",
    "normalise",
    "attention",
    "feed_forward",
    "norm",
)
LARGE = ("conv", "depthwise", "linear", "grouped", "attention", "feed_forward")  # more features need more layers


def some(family: str, rng: np.random.Generator) -> Graph:
    """The next random layer that can be."""
    while True:
        try:
            return layer(family, rng)
        except ValueError:
            continue


def beside_another(graph: Graph, family: str, rng: np.random.Generator) -> dict[str, Graph]:
    """The entries of a program in which a kernel that layers share has two callers that agree on nothing: with one, the
    compiler would make the kernel for its shape, which it cannot in a network."""
    name = kernel(graph.nodes[-1])
    if name is None:
        return {"infer": graph}
    while True:
        other = some(family, rng)
        if kernel(other.nodes[-1]) == name and not {*other.inputs[0].shape} & {*graph.inputs[0].shape} - {1}:
            return {"infer": graph, "other": other}


def measured(core: str, family: str, count: int, seed: int) -> Iterator[tuple[tuple[float, ...], Any]]:
    """Features and profile of random layers."""
    rng = np.random.default_rng([seed, *family.encode()])
    device = get(core, ram="256KB", flash="1MB") if core != "cortex-m0plus" else get(core)
    made = 0
    while made < count:
        graph = some(family, rng)
        made += 1
        with tempfile.TemporaryDirectory() as folder:
            program = device.compile(beside_another(graph, family, rng), out=folder)
            inputs = [random(v, rng) for v in graph.inputs]
            found = model.features(graph.nodes[-1])
            assert found is not None and found[0] == family, found
            yield found[1], program.profile(*inputs)


def random(value: Value, rng: np.random.Generator) -> np.ndarray:
    """Contents for an input: any small integers, or reals that about fill the range of an int8 of scale Y."""
    if value.dtype in ("int8", "int16"):
        return rng.integers(-128, 128, value.shape).astype(value.dtype)
    return rng.normal(0, 60 * Y.scale, value.shape).astype(np.float32)


def section(entry: dict[str, Any]) -> list[str]:
    """The lines of one family."""
    lists = {k: [round(float(v), 4) for v in values] for k, values in entry.items() if k != "stack"}
    return [*(f"{k} = {values}" for k, values in lists.items()), f"stack = {entry['stack']}"]


def fit(rows: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Non-negative least squares on relative error."""
    weights = 1 / np.maximum(target, 1)
    return nnls(rows * weights[:, None], target * weights, maxiter=1000)[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--layers", type=int, default=36, help="layers a family and core")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", action="store_true", help="replace the coefficients that ship with netwright")
    parser.add_argument("--families", default=",".join(FAMILIES), help="only these, separated by commas")
    options = parser.parse_args()
    chosen = options.families.split(",")
    if unknown := sorted(set(chosen) - set(FAMILIES)):
        parser.error(f"no family {', '.join(unknown)} (they are {', '.join(FAMILIES)})")
    text = [
        "# Coefficients of the cost model, fitted by `python -m benchmarks.calibrate --write`; units: instructions,",
        "# and cycles (modelled by cycles.csv) for each feature of a kernel family (cost.py).",
        "",
    ]
    for core in CORES:
        kept = {} if set(chosen) == set(FAMILIES) else model.coefficients(core)
        if kept and kept["compiler"] != version():
            parser.error(f"the other families were fitted to {kept['compiler']}, this is {version()}: fit all")
        text += [f"[{core}]", f'compiler = "{version()}"']
        text += [f"[{core}.base]", "instructions = 12", "cycles = 20"]
        for family in FAMILIES:
            if family in chosen:
                many = family in LARGE or family == "conv_transpose"
                count = options.layers if many else options.layers // 3
                entry = fitted(core, family, count, options.seed)
            elif family in kept:
                entry = kept[family]
            else:
                continue
            text += [f"[{core}.{family}]", *section(entry)]
        text.append("")
    if options.write:
        Path(model.__file__).with_name("costs.toml").write_text("\n".join(text), encoding="utf-8")


def fitted(core: str, family: str, count: int, seed: int) -> dict[str, Any]:
    """The coefficients of one family from `count` random layers; prints the error on those it did not fit."""
    pairs = list(measured(core, family, count, seed))
    rows = np.array([f for f, _ in pairs])
    split = len(rows) * 2 // 3
    entry: dict[str, Any] = {}
    line = f"{core:14s} {family:13s}"
    for kind in ("instructions", "cycles"):
        target = np.array([getattr(p, "cycles_modelled" if kind == "cycles" else kind) for _, p in pairs], float)
        held = fit(rows[:split], target[:split])
        error = np.abs(rows[split:] @ held / target[split:] - 1)
        entry[kind] = fit(rows, target)
        line += f"  {kind} median error {np.median(error):.1%} worst {error.max():.1%}"
    entry["stack"] = max(p.ram_bytes["stack"] for _, p in pairs)
    print(line + f"  stack {entry['stack']} B", flush=True)
    return entry


if __name__ == "__main__":
    main()
