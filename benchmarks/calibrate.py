"""Fit the Cortex-M cost model to the emulator: python -m benchmarks.calibrate [--layers N] [--write].

Random single layers are compiled, run and counted; two thirds fit the coefficients (non-negative least squares), the
rest tell the error. With --write the coefficients replace netwright/devices/cortex_m/costs.toml.
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
from netwright.devices.c.toolchain import version
from netwright.graph import Builder, Graph, Quant, Type
from netwright.graph.ops import OPS

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

    if family.startswith("conv") or family in ("depthwise", "grouped"):
        c, o, k, s = channels(), channels() + 1, int(rng.choice([1, 3, 5])), int(rng.integers(1, 3))
        groups = 1
        if family == "depthwise":
            k = int(rng.choice([3, 5]))
            o = groups = c = max(2, c)
        elif family == "grouped":
            groups = 2
            c, o = 2 * c, 2 * o
        pad = k // 2 * int(rng.integers(0, 2))
        if family.startswith("conv"):
            padded = family != "conv"
            k = max(k, 3) if padded else k
            pad = k // 2 if padded else 0
            s = s if not padded else 2 if family.endswith("strided") else 1
        x = b.input("x", Type((1, *(int(v) for v in rng.integers(k, 12, 2)), c), "int8", X))
        w = tensor("w", (o, k, k, c // groups), "int8")
        op = OPS["q_conv"](stride=(s, s), padding=(pad,) * 4, groups=groups, x=X, out=Y)
        y = b(op, x, w, tensor("s", (o,), "float32"), tensor("b", (o,), "int32"))
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
    elif family in ("sum", "product"):
        x = image(channels())
        z = b.input("z", Type(x.shape, "int8", W))
        y = b(OPS["q_add" if family == "sum" else "q_mul"](x=X, y=W, out=Y), x, z)
    elif family == "requantise":
        y = b(OPS["q_requantise"](x=X, out=Y), image(channels()))
    elif family == "lookup":
        y = b(OPS["q_lookup"](out=Y), image(channels()), tensor("t", (256,), "int8"))
    elif family == "copy":
        x = image(channels())
        y = b(OPS["concat"](axis=3), x, b.input("z", x.type))
    else:
        y = b(OPS["transpose"](permutation=(0, 3, 1, 2)), image(max(2, channels())))
    b.output(y)
    return b.graph()


FAMILIES = (
    "conv",
    "conv_padded",
    "conv_padded_strided",
    "depthwise",
    "grouped",
    "linear",
    "max_pool",
    "average_pool",
    "sum",
    "product",
    "requantise",
    "lookup",
    "copy",
    "move",
)


def measured(core: str, family: str, count: int, seed: int) -> Iterator[tuple[tuple[float, ...], Any]]:
    """Features and profile of random layers."""
    rng = np.random.default_rng([seed, *family.encode()])
    device = get(core, ram="256KB", flash="1MB") if core != "cortex-m0plus" else get(core)
    made = 0
    while made < count:
        try:
            graph = layer(family, rng)
        except ValueError:
            continue
        made += 1
        with tempfile.TemporaryDirectory() as folder:
            program = device.compile(graph, out=folder)
            inputs = [rng.integers(-128, 128, v.shape).astype(np.int8) for v in graph.inputs]
            found = model.features(graph.nodes[-1])
            assert found is not None and found[0] == family, found
            yield found[1], program.profile(*inputs)


def fit(rows: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Non-negative least squares on relative error."""
    weights = 1 / np.maximum(target, 1)
    return nnls(rows * weights[:, None], target * weights, maxiter=1000)[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--layers", type=int, default=36, help="layers a family and core")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", action="store_true", help="replace the coefficients that ship with netwright")
    options = parser.parse_args()
    text = [
        "# Coefficients of the cost model, fitted by `python -m benchmarks.calibrate --write`; units: instructions,",
        "# cycles (modelled by cycles.csv) and bytes of code for each feature of a kernel family (cost.py).",
        "",
    ]
    for core in CORES:
        # the program around the layers: start-up, example, entry; a table look-up of one layer is about 24 bytes
        base_text = min(p.flash_bytes["text"] for _, p in measured(core, "lookup", 2, options.seed)) - 24.0
        text += [f"[{core}]", f'compiler = "{version()}"']
        sections = []
        for family in FAMILIES:
            pairs = list(
                measured(
                    core,
                    family,
                    options.layers
                    if family.startswith("conv") or family in ("depthwise", "linear", "grouped")
                    else options.layers // 3,
                    options.seed,
                )
            )
            rows = np.array([f for f, _ in pairs])
            split = len(rows) * 2 // 3
            entry = {}
            line = f"{core:14s} {family:13s}"
            for kind in ("instructions", "cycles"):
                target = np.array(
                    [getattr(p, "cycles_modelled" if kind == "cycles" else kind) for _, p in pairs], float
                )
                held = fit(rows[:split], target[:split])
                error = np.abs(rows[split:] @ held / target[split:] - 1)
                entry[kind] = fit(rows, target)
                line += f"  {kind} median error {np.median(error):.1%} worst {error.max():.1%}"
            sizes = np.array([p.flash_bytes["text"] for _, p in pairs], float)
            parts = np.array([model.text_features(family, f) for f, _ in pairs])
            entry["text"] = np.linalg.lstsq(parts, sizes - base_text, rcond=None)[0]
            stack = max(p.ram_bytes["stack"] for _, p in pairs)
            print(line + f"  stack {stack} B", flush=True)
            sections += [f"[{core}.{family}]"]
            sections += [f"{k} = {[round(float(v), 4) for v in values]}" for k, values in entry.items()]
            sections += [f"stack = {stack}"]
        text += [f"[{core}.base]", "instructions = 12", "cycles = 20", f"text = {base_text}", *sections, ""]
    if options.write:
        Path(model.__file__).with_name("costs.toml").write_text("\n".join(text), encoding="utf-8")


if __name__ == "__main__":
    main()
