"""Bytes of code and stack of the kernels that layers share: python -m benchmarks.kernel_sizes [--write].

Each kernel is compiled in a program of two layers for each core; the ELF's symbols give its own bytes, those of the
functions that come with it, and those of the layer that calls it; a run gives the stack. Layers with code of their own
are random ones, as benchmarks.calibrate has them. `--write` replaces
`kernels.toml`, from which the cost model takes them.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.calibrate import CORES, FAMILIES, some
from netwright.devices import get
from netwright.devices.c.choice import kernel
from netwright.devices.c.toolchain import version
from netwright.devices.cortex_m import cost as model
from netwright.devices.cortex_m.emulator import Image
from netwright.graph import OPS, Builder, Graph, Quant, Type

WINDOWS = range(1, 9)  # square; others are taken as the nearest


def layer(kernel: tuple[int, int], stride: int, groups: str, clamped: bool, dilation: int = 1) -> Graph:
    """Two convolutions that share a kernel and nothing else, so that it is compiled for any; groups: `one`, `two` or
    `all` (depthwise)."""
    rng = np.random.default_rng(0)
    b = Builder("two")
    ends = ((8, (16, 12), Quant(0.05, 3), True), (12, (21, 17), Quant(0.04, -5), False))
    for i, (c, shape, q, pad) in enumerate(ends):
        number = {"one": 1, "two": 2, "all": c}[groups]
        w = b.param("w", (c, *kernel, c // number), dtype="int8", init=None, trainable=False)
        s = b.param("s", (c,), init=None, trainable=False)
        bias = b.param("b", (c,), dtype="int32", init=None, trainable=False)
        b.store[w.name] = rng.integers(-127, 128, w.shape).astype(np.int8)
        b.store[s.name], b.store[bias.name] = np.full(c, 0.01, np.float32), rng.integers(-99, 99, c).astype(np.int32)
        op = OPS["q_conv"](
            stride=(stride, stride), dilation=(dilation, dilation), groups=number, x=q, out=q,
            low=q.zero if clamped else -128, padding=(kernel[0] // 2, kernel[1] // 2) * 2 if pad else (0,) * 4,
        )  # fmt: skip
        x = b.input("x", Type((1, *shape, c), "int8", q))
        b.output(b(op, x, w, s, bias, name=f"layer{i}"))
    return b.graph()


def sums() -> Graph:
    """Two additions that share a kernel."""
    b = Builder("two")
    x, y, out = Quant(0.05, 3), Quant(0.04, -5), Quant(0.06, 7)
    for i, (op, size) in enumerate(((OPS["q_add"](x, y, out), 40), (OPS["q_add"](y, x, out, low=7), 60))):
        operands = (b.input(name, Type((1, size), "int8", q)) for name, q in (("x", op.x), ("y", op.y)))
        b.output(b(op, *operands, name=f"layer{i}"))
    return b.graph()


def means() -> Graph:
    """Two means that share a kernel."""
    b = Builder("two")
    for i, (shape, q) in enumerate((((1, 6, 4, 8), Quant(0.05, 3)), ((1, 5, 3, 12), Quant(0.04, -5)))):
        b.output(b(OPS["q_mean"](x=q, out=q), b.input("x", Type(shape, "int8", q)), name=f"layer{i}"))
    return b.graph()


def layers() -> Iterator[Graph]:
    """A network for each kernel."""
    yield means()
    yield sums()
    yield layer((3, 3), 1, "one", False)
    yield layer((3, 3), 1, "two", False)
    for clamped in (False, True):
        yield layer((3, 3), 1, "all", clamped, dilation=2)
        for window in WINDOWS:
            for stride in (1, 2):
                yield layer((window, window), stride, "all", clamped)


def sizes(core: str) -> tuple[dict[str, dict[str, Any]], dict[str, int]]:
    """Kernel -> its bytes, its caller's, its stack and what comes with it; function -> bytes."""
    kernels: dict[str, dict[str, Any]] = {}
    functions: dict[str, int] = {}
    for graph in layers():
        name = kernel(graph.nodes[0])
        assert name is not None
        with tempfile.TemporaryDirectory() as folder:
            program = get(core).compile(graph, out=folder)
            image = Image.read(Path(folder) / "firmware.elf")
            stack = program.profile().ram_bytes["stack"]
        found = {k: v for k, v in image.symbol_sizes.items() if k.startswith("nw_") and v and k != "nw_vectors"}
        own = found.pop(name)
        functions.update(found)
        kernels[name] = {"text": own, "call": image.symbol_sizes["layer0"], "stack": stack, "with": sorted(found)}
    return kernels, functions


def alone(core: str, count: int = 8) -> tuple[dict[str, int], int]:
    """Code of layers that have their own -> median bytes of a random one; and those of the program around it."""
    codes, around = {}, []
    for family in FAMILIES:
        rng = np.random.default_rng(sum(family.encode()))
        if kernel(some(family, rng).nodes[-1]) is not None:
            continue
        found: dict[str, list[int]] = {model.code(some(family, rng).nodes[-1], family): [] for _ in range(400)}
        while any(len(sizes) < count for sizes in found.values()):
            graph = some(family, rng)
            sizes = found[model.code(graph.nodes[-1], family)]
            if len(sizes) == count:
                continue
            with tempfile.TemporaryDirectory() as folder:
                program = get(core, **({} if core == "cortex-m0plus" else {"ram": "256KB"})).compile(graph, out=folder)
                image = Image.read(Path(folder) / "firmware.elf")
            code = {str(row["function"]) for row in program.layers}
            code |= {k for k in image.symbol_sizes if k.startswith("nw_") and k != "nw_vectors"}
            own = sum(image.symbol_sizes.get(k, 0) for k in code)
            sizes.append(own)
            around.append(image.size(".text") - own)
        codes |= {name: round(statistics.median(sizes)) for name, sizes in sorted(found.items())}
    return codes, round(statistics.median(around))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="replace the sizes that ship with netwright")
    options = parser.parse_args()
    text = [
        "# Bytes of code and stack of the kernels that layers share, by `python -m benchmarks.kernel_sizes --write`:",
        "# `text` of the kernel, `call` of a layer that calls it, `with` the functions that come with it.",
        "",
    ]
    for core in CORES:
        kernels, functions = sizes(core)
        text += [f"[{core}]", f'compiler = "{version()}"', f"[{core}.functions]"]
        text += [f"{name} = {size}" for name, size in sorted(functions.items())]
        codes, around = alone(core)
        text += [f"[{core}.layers]", f"around = {around}", *(f"{name} = {size}" for name, size in codes.items())]
        text.append(f"[{core}.kernels]")
        for name, row in sorted(kernels.items()):
            along = ", ".join(f'"{n}"' for n in row["with"])
            text.append(
                f"{name} = {{text = {row['text']}, call = {row['call']}, stack = {row['stack']}, with = [{along}]}}"
            )
        text.append("")
    if options.write:
        Path(model.__file__).with_name("kernels.toml").write_text("\n".join(text), encoding="utf-8")
    else:
        print("\n".join(text))


if __name__ == "__main__":
    main()
