"""Microcontroller engines on the same int8 models: python -m benchmarks.mcu [--only NAME] [--compiler NAME] [--json].

Instructions, RAM and Flash of one inference as Cortex-M4 code, measured on the emulated core, beside another engine's
figures for the same files. Those are recorded (they need a C++ build of it): TensorFlow Lite Micro with its reference
kernels and with CMSIS-NN, on the same kind of emulator. Instruction counts do not depend on the machine.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import netwright
from benchmarks.models import board
from benchmarks.recorded import root
from netwright.devices.c.toolchain import ZIG, version

# file -> instructions of TFLite Micro with reference kernels and with CMSIS-NN, its arena, its stack, the model's Flash
ANCHORS = {
    "mlperf-tiny/models/vww_mobilenet_int8": (100.5e6, 24.10e6, 100_708, 1_324, 333_288),
    "mcunet-models/mcunet_vww1": (189.6e6, 48.55e6, 219_808, 1_324, 613_840),
    "mlperf-tiny/models/ic_resnet8_int8": (107.5e6, 29.86e6, 54_996, 1_324, 98_496),
    "mlperf-tiny/models/kws_dscnn_int8": (43.1e6, 7.70e6, 22_820, 1_324, 53_936),
    "mlperf-tiny/models/ad01_int8": (1.95e6, 0.58e6, 2_580, 828, 276_976),
}
CODE = 109_192  # bytes of TFLite Micro's .text with CMSIS-NN


def measured(data: Path, name: str, compiler: str = ZIG) -> dict[str, Any]:
    """One model under netwright, on its first input (random integers, or reals from 0 to 1)."""
    graph = netwright.load(data / f"{name}.tflite")
    rng = np.random.default_rng(0)
    inputs = []
    for value in graph.inputs:
        shape = (1, *value.shape[1:])
        real = value.dtype == "float32"
        inputs.append(rng.random(shape).astype(np.float32) if real else rng.integers(-128, 128, shape).astype(np.int8))
    with tempfile.TemporaryDirectory() as folder:
        profile = board().compile(graph, {"compiler": compiler}, folder).profile(*inputs)
    reference, cmsis, arena, stack, flash = ANCHORS[name]
    ours = profile.to_json()
    return {
        "model": Path(name).name,
        "macs": graph.macs,
        "compiler": profile.compiler,
        "instructions": profile.instructions,
        "instructions_per_mac": profile.instructions / graph.macs,
        "arena": ours["ram_bytes"]["arena"],
        "stack": ours["ram_bytes"]["stack"],
        "static": ours["ram_bytes"]["static"],
        "text": ours["flash_bytes"]["text"],
        "rodata": ours["flash_bytes"]["rodata"],
        "anchor": {
            "instructions_reference": reference,
            "instructions_cmsis_nn": cmsis,
            "arena": arena,
            "stack": stack,
            "model_flash": flash,
            "text": CODE,
        },
        "ratio_to_cmsis_nn": {
            "instructions": profile.instructions / cmsis,
            "ram": profile.ram_total / (arena + stack),
            "flash": profile.flash_total / (flash + CODE),
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="models whose name holds this")
    parser.add_argument("--compiler", default=ZIG, help="zig, or arm-none-eabi-gcc from the PATH")
    parser.add_argument("--data")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = [measured(root(options.data), name, options.compiler) for name in ANCHORS if options.only in name]
    if options.json:
        print(json.dumps(rows))
        return
    print(f"one inference, Cortex-M4, built with {version(options.compiler)}, instructions measured")
    print("x: netwright / TFLite Micro with CMSIS-NN (less: better)")
    for row in rows:
        anchor, ratio = row["anchor"], row["ratio_to_cmsis_nn"]
        ram, flash = row["arena"] + row["stack"] + row["static"], row["text"] + row["rodata"]
        print(
            f"{row['model']:20s} {row['instructions'] / 1e6:6.2f} M instr. ({row['instructions_per_mac']:.2f} a MAC) "
            f"against {anchor['instructions_cmsis_nn'] / 1e6:5.2f} M: x {ratio['instructions']:.2f}   "
            f"RAM {ram:7,} against {anchor['arena'] + anchor['stack']:7,} B: x {ratio['ram']:.2f}   "
            f"Flash {flash:7,} against {anchor['model_flash'] + CODE:7,} B: x {ratio['flash']:.2f}"
        )


if __name__ == "__main__":
    main()
