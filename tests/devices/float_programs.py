"""Compiling float graphs natively and for an emulated core, as the devices do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from netwright import devices
from netwright.devices.c import CSource, generate, prepared
from netwright.devices.c.toolchain import ZIG, build, version
from netwright.devices.cortex_m.cycles import count
from netwright.devices.cortex_m.emulator import Counts, Image, Unicorn
from netwright.devices.cortex_m.flags import flags as flags_of
from netwright.devices.host.device import LIBRARY, HostProgram
from netwright.devices.manifest import MANIFEST, entries_json
from netwright.graph import Graph


def source_of(graph: Graph) -> CSource:
    return generate({"infer": prepared(graph)}, graph.name)


def native(graph: Graph, folder: Path) -> HostProgram:
    """The graph as a shared library of this machine."""
    source = source_of(graph)
    flags = ["-O2", "-shared", "-fPIC", "-fno-sanitize=all", "-g0", "-s", "-Wall", "-Wno-parentheses-equality", "-Werror"]
    (folder / LIBRARY).write_bytes(build(source.files, flags, LIBRARY))
    manifest = {
        "program": source.name, "arena_bytes": source.arena_bytes, "compiler": version(),
        "entries": entries_json(source.graphs), "macs": {"infer": graph.macs},
    }  # fmt: skip
    (folder / MANIFEST).write_text(json.dumps(manifest))
    return HostProgram(folder)


def on_cortex_m4(graph: Graph, folder: Path, *inputs: Any, fpu: bool = False) -> tuple[tuple[np.ndarray, ...], int]:
    """Outputs of one step on the emulated core, and the instructions it took."""
    source, device = source_of(graph), devices.get("cortex-m4")
    files = {**source.files, **device._firmware(source, fpu)}  # type: ignore[attr-defined]
    flags = flags_of(ZIG, device.board.core, fpu)  # type: ignore[attr-defined]
    elf = folder / "firmware.elf"
    elf.write_bytes(build({k: v for k, v in files.items() if k != "Makefile"}, flags, "firmware.elf"))
    image, board = Image.read(elf), device.board  # type: ignore[attr-defined]
    ram = (board.ram_origin, image.symbols["nw_stack_top"] - board.ram_origin)
    machine = Unicorn(image, board.core, (board.flash_origin, board.flash_bytes), ram)
    name, counts = source.name, Counts()
    machine.call(f"{name}_infer_reset")
    for i, x in enumerate(inputs):
        machine.write(machine.call(f"{name}_infer_input", i), np.ascontiguousarray(x).tobytes())
    machine.call(f"{name}_infer", counts=counts)
    outputs = []
    for i, v in enumerate(source.graphs["infer"].outputs):
        data = machine.read(machine.call(f"{name}_infer_output", i), v.type.bytes)
        outputs.append(np.frombuffer(data, v.dtype).reshape(v.shape))
    return tuple(outputs), count(image, counts, board.core, board.wait_states)[0]
