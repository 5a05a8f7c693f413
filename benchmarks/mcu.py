"""Microcontroller engines on the same int8 models: python -m benchmarks.mcu [--only NAME] [--tune] [--json].

Instructions, RAM and Flash of one inference as Cortex-M4 code, measured on the emulated core, beside another engine's
figures for the same files. Those are recorded (they need builds of them): TensorFlow Lite Micro with CMSIS-NN, and
TinyEngine on the int8 body of mcunet_vww1, layer by layer and in its 2x2 patches, with its image of 19,200 B counted as
RAM; on the same kind of emulator. Ours in patches keeps the image outside and holds the tile that is at work in the
arena. Instruction counts do not depend on the machine.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import netwright
from benchmarks.models import board
from benchmarks.recorded import root
from netwright.compile import ends
from netwright.devices.c.toolchain import ZIG, version


class Row(NamedTuple):
    """A model as we compile it, and what the other engine needs; bytes of RAM and Flash as (data, code or stack)."""

    file: str
    label: str
    engine: str
    instructions: float
    ram: tuple[int, int]
    flash: tuple[int, int]
    options: dict[str, str]
    integer_ends: bool = False


CMSIS, TINY = "TFLite Micro with CMSIS-NN", "TinyEngine (Cortex-M7, not bit-exact)"
CODE = 109_192  # bytes of TFLite Micro's .text with CMSIS-NN
FIRST, DEEP = {"patches": "0-5:4", "input": "outside"}, {"patches": "0-5:5,6-16:2", "input": "outside"}
VWW1 = "mcunet-models/mcunet_vww1"
ROWS = (
    Row("mlperf-tiny/models/vww_mobilenet_int8", "", CMSIS, 24.10e6, (100_708, 1_324), (333_288, CODE), {}),
    Row(VWW1, "", CMSIS, 48.55e6, (219_808, 1_324), (613_840, CODE), {}),
    Row("mlperf-tiny/models/ic_resnet8_int8", "", CMSIS, 29.86e6, (54_996, 1_324), (98_496, CODE), {}),
    Row("mlperf-tiny/models/kws_dscnn_int8", "", CMSIS, 7.70e6, (22_820, 1_324), (53_936, CODE), {}),
    Row("mlperf-tiny/models/ad01_int8", "", CMSIS, 0.58e6, (2_580, 828), (276_976, CODE), {}),
    Row(VWW1, " int8 body", TINY, 34.77e6, (93_992, 600), (480_176, 32_064), {}, True),
    Row(VWW1, " in patches", TINY, 45.02e6, (62_352 + 19_200, 600), (480_176, 32_064), FIRST, True),
    Row(VWW1, " deeper", TINY, 45.02e6, (62_352 + 19_200, 600), (480_176, 32_064), DEEP, True),
)


def measured(data: Path, row: Row, compiler: str = ZIG, tune: bool = False) -> dict[str, Any]:
    """One model under netwright, on its first input (random integers, or reals from 0 to 1)."""
    graph = netwright.load(data / f"{row.file}.tflite")
    if row.integer_ends:
        graph = ends.integer(graph)
    rng = np.random.default_rng(0)
    inputs = []
    for value in graph.inputs:
        shape = (1, *value.shape[1:])
        real = value.dtype == "float32"
        inputs.append(rng.random(shape).astype(np.float32) if real else rng.integers(-128, 128, shape).astype(np.int8))
    with tempfile.TemporaryDirectory() as folder:
        options = {"compiler": compiler, **row.options, **({"tune": "yes"} if tune else {})}
        program = board().compile(graph, options, folder)
        profile, given = program.profile(*inputs), program.run(*inputs)
    ours = profile.to_json()
    ram, flash = sum(row.ram), sum(row.flash)
    return {
        "model": Path(row.file).name + row.label,
        "macs": graph.macs,
        "extra_macs": profile.macs / graph.macs - 1,
        "compiler": profile.compiler,
        "byte_equal": all(np.array_equal(a, b) for a, b in zip(given, graph.run(*inputs), strict=True)),
        "instructions": profile.instructions,
        "instructions_per_mac": profile.instructions / graph.macs,
        **ours["ram_bytes"],
        **ours["flash_bytes"],
        "outside": profile.outside_bytes,
        "anchor": {"engine": row.engine, "instructions": row.instructions, "ram": ram, "flash": flash},
        "ratio": {
            "instructions": profile.instructions / row.instructions,
            "ram": profile.ram_total / ram,
            "flash": profile.flash_total / flash,
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="models whose name holds this")
    parser.add_argument("--compiler", default=ZIG, help="zig, or arm-none-eabi-gcc from the PATH")
    parser.add_argument("--tune", action="store_true", help="each layer on the kernel that is quickest for it")
    parser.add_argument("--data")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    data = root(options.data)
    rows = [measured(data, r, options.compiler, options.tune) for r in ROWS if options.only in r.file + r.label]
    if options.json:
        print(json.dumps(rows))
        return
    print(f"one inference, Cortex-M4, built with {version(options.compiler)}, instructions measured; x: less is better")
    for engine in dict.fromkeys(r["anchor"]["engine"] for r in rows):
        print(f"against {engine}")
        for row in (r for r in rows if r["anchor"]["engine"] == engine):
            anchor, ratio = row["anchor"], row["ratio"]
            ram, flash = row["arena"] + row["stack"] + row["static"], row["text"] + row["rodata"]
            outside = f"   {row['extra_macs']:.1%} more MACs, {row['outside']:,} B of input outside"
            print(
                f"{row['model']:22s} {row['instructions'] / 1e6:6.2f} M instr. "
                f"({row['instructions_per_mac']:.2f} a MAC) of {anchor['instructions'] / 1e6:5.2f} M: "
                f"x {ratio['instructions']:.2f}   "
                f"RAM {ram:7,} (arena {row['arena']:,}) of {anchor['ram']:7,} B: x {ratio['ram']:.2f}   "
                f"Flash {flash:7,} of {anchor['flash']:7,} B: x {ratio['flash']:.2f}   "
                f"{'byte-equal' if row['byte_equal'] else 'NOT byte-equal'}{outside if row['outside'] else ''}"
            )


if __name__ == "__main__":
    main()
