"""The Cortex-M device: check, cost, compile to C and ELF, run on an emulated core."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

import netwright
from netwright.compile import int8
from netwright.compile.memory import Plan
from netwright.errors import UserError
from netwright.graph import Graph, Node, Value, by_signature, save
from netwright.graph.files import write_text
from netwright.graph.types import parse_type

from ..c import CSource, arranged, generate, outside, planned, prepared
from ..c.choice import kernel, linear_bytes, shape_bytes, stream_bytes
from ..c.toolchain import ZIG, build, cache_folder, version
from ..c.tuning import Choice, tuned
from ..device import Device, Entry, LayerCost, Limits, Profile, Rule, Violation, known_state, samples
from ..manifest import MANIFEST, entries_from, entries_json, is_float
from ..quantities import cores
from .board import Board
from .cost import coefficients, kernels, pricing, shared_kernel
from .cycles import count
from .emulator import Counts, Image, Unicorn
from .flags import chosen, flags, gcc_core
from .rules import RULES

SAMPLES_A_CORE = 32  # of a run, for which another emulated core is worth starting
_FIRMWARE = Path(__file__).parent / "firmware"


STEP = 4  # bytes of code with which the entry calls a layer
STACK = 700  # bytes that are left for the stack where patches are chosen


class CortexM(Device):
    """One core with its memories. `name` is the board's."""

    rules: ClassVar[tuple[Rule, ...]] = RULES

    def __init__(self, board: Board) -> None:
        super().__init__(board.name, Limits(board.ram_bytes, board.flash_bytes, None, board.clock_hz))
        self.board = board

    def lower(self, graph: Graph, options: Mapping[str, Any] | None = None) -> Graph:
        """The int8 form; of a float graph its structure only (quantise it for the real one)."""
        return arranged(int8.lower(graph) if is_float(graph) else graph, options, self._arena())

    def _arena(self) -> int | None:
        """The most that an arena may take of the RAM there is."""
        ram = self.limits.ram_bytes
        return max(0, ram - STACK) if ram is not None else None

    def refused(self, graph: Graph, options: Mapping[str, Any] | None = None) -> list[Violation]:
        broken = super().refused(graph, options)
        if broken or not is_float(graph):
            return broken
        try:
            self.lowered(graph)
        except UserError as error:  # an op that has an integer form, but not with these attributes or operands
            where, _, what = str(error).partition(": ")
            return [Violation("M1", where, what, "replace it by ops that have one")]
        return []

    def _cost(self, lowered: Graph, options: Mapping[str, Any] | None = None) -> Profile:
        where = planned(lowered, outside=outside(lowered, options))
        base = coefficients(self.board.core)["base"]
        instructions, cycles = float(base["instructions"]), float(base["cycles"])
        _, functions, own_code = kernels(self.board.core)
        text, rodata = own_code["around"], 0
        stack = 0
        layers = []
        shared: set[str] = set()  # kernels of which there is one copy
        along: set[str] = set()  # functions that come with them
        price = pricing(self.board.core)
        counted: set[Value] = set()  # constants that several layers read, as bands of one do, are there once
        for index, node in enumerate(lowered.nodes):
            own = price(node)
            if own is None or node in where.free:
                continue
            own_constants = [v for v in node.inputs if v in lowered.param_of and v not in counted and v is not None]
            packed = _packed_bytes(node) if own_constants else 0
            constants = shape_bytes(node) + (sum(v.type.bytes for v in own_constants) if packed is None else packed)
            counted.update(own_constants)
            instructions += own.instructions
            cycles += own.cycles
            rodata += constants
            common = kernel(node)
            if common is None:
                stack = max(stack, own.stack)
                text += own.text
            else:
                row = shared_kernel(self.board.core, common)
                stack = max(stack, row["stack"])
                text += row["call"] + (row["text"] if common not in shared else 0)
                shared.add(common)
                along.update(row["with"])
            layers.append(
                LayerCost(
                    node.name,
                    node.op.name,
                    node.output.shape,
                    node.macs,
                    own.instructions,
                    own.cycles,
                    where.live(index),
                    constants,
                )
            )
        text += sum(functions[name] for name in along) + STEP * len(layers)
        clock = self.limits.clock_hz
        return Profile(
            round(instructions),
            round(cycles),
            cycles / clock * 1e3,
            {"arena": max(4, where.bytes), "stack": stack, "static": 0},
            {"text": text, "rodata": rodata},
            sum(layer.macs for layer in layers),
            False,
            tuple(layers),
            version_or_none(),
            sum(v.type.bytes for v in where.outside),
        )

    def compile(
        self,
        graph: Graph | Mapping[str, Graph],
        options: Mapping[str, Any] | None = None,
        out: str | Path | None = None,
    ) -> CortexMProgram:
        """C, ELF and manifest in `out`, in the graph's own arithmetic; a broken rule raises UserError.

        `options["compiler"]`: zig, or arm-none-eabi-gcc from the PATH. `options["tune"]`: each layer on the kernel that
        takes it fewest instructions (`netwright.devices.c.tuning`).
        """
        compiler = chosen(str((options or {}).get("compiler", ZIG)))
        given = dict(graph) if isinstance(graph, Mapping) else {"infer": graph}
        entries = {entry: prepared(g, options, self._arena()) for entry, g in given.items()}
        floating = any(v.dtype == "float32" for g in entries.values() for n in g.nodes for v in n.outputs)
        for g in entries.values():
            broken = [] if is_float(g) else self.refused(g, options)
            if broken:
                raise UserError(str(broken[0]))
        first = next(iter(entries.values()))
        choices: list[Choice] = []
        if (options or {}).get("tune"):
            for entry, g in entries.items():
                entries[entry], better = self._tuned(g, compiler, options)
                choices += better
        source = generate(entries, first.name, bool(outside(first, options)))
        files = {**source.files, **self._firmware(source, floating)}
        if out is None:
            from hashlib import sha256

            made = (sorted(files.items()), self.board, self.limits, version(compiler))
            key = sha256(repr(made).encode()).hexdigest()[:24]
            folder = cache_folder() / "programs" / key
        else:
            folder = Path(out)
        try:
            sources = {k: v for k, v in files.items() if k != "Makefile"}
            elf = build(sources, flags(compiler, self.board.core, floating), "firmware.elf", compiler)
        except UserError as error:
            raise self._too_large(source, error) from None
        manifest = {
            "netwright": netwright.__version__,
            "family": "cortex_m",
            "device": self.name,
            "core": self.board.core,
            "board": vars(self.board),
            "limits": {k: v for k, v in vars(self.limits).items() if k != "dtypes"},
            "program": source.name,
            "arena_bytes": source.arena_bytes,
            "compiler": version(compiler),
            "entries": entries_json(entries),
            "states": {name: str(type) for name, type in source.states.items()},
            "layers": [vars(layer) for layer in source.layers],
            "kernels": {c.node: {"kernel": c.best, "instructions": c.counts} for c in choices},
        }
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name, text in files.items():
                write_text(folder / name, text)
            beside = folder / f".firmware.{os.getpid()}"
            beside.write_bytes(elf)
            os.replace(beside, folder / "firmware.elf")
            save(first, folder)
            write_text(folder / MANIFEST, json.dumps(manifest, indent=1))
        except OSError as error:
            raise UserError(f"cannot write {folder}: {error.strerror or error}") from None
        return CortexMProgram(folder)

    def _tuned(
        self, graph: Graph, compiler: str, options: Mapping[str, Any] | None
    ) -> tuple[Graph, list[Choice]]:
        """The graph with the kernels that are best on this core, and the choices."""

        def count(layer: Graph) -> int:
            return CortexM(self.board).compile(layer, {"compiler": compiler}).profile().instructions

        def plan(made: Graph) -> Plan:
            return planned(made, outside=outside(made, options))

        return tuned(graph, count, f"{self.board.core}, {version(compiler)}", self._arena(), plan)

    def _too_large(self, source: CSource, error: UserError) -> UserError:
        """What the linker's complaint of a full memory means for the network; other errors as they are."""
        found = re.search(r"region [`'](FLASH|RAM)':? overflowed by (\d+) bytes", str(error))
        if found is None:
            return error
        memory, over = found.groups()
        if memory == "FLASH":
            worst = max(source.layers, key=lambda layer: layer.constant_bytes)
            where = f"layer {worst.node} holds {worst.constant_bytes:,} B of constants"
            advice = "fewer channels there, or a device with more Flash"
        else:
            worst = max(source.layers, key=lambda layer: layer.ram_bytes)
            where = f"{worst.ram_bytes:,} B are alive in layer {worst.node}"
            advice = "a smaller input, fewer channels or a larger stride up to there, or a device with more RAM"
        limit = self._flash() if memory == "FLASH" else self._ram()
        name = "Flash" if memory == "FLASH" else "RAM"
        return UserError(
            f"{source.name} needs {int(over):,} B more {name} than the {limit:,} B of {self.name}: {where}; {advice}"
        )

    def _firmware(self, source: CSource, floating: bool) -> dict[str, str]:
        """Start-up code, linker script, example and Makefile for this board and its limits."""
        entry = next(iter(source.graphs))
        graph = source.graphs[entry]
        words = {
            "PROGRAM": source.name,
            "ENTRY": entry,
            "UART": f"{self.board.uart:#010x}",
            "INPUT_BYTES": str(graph.inputs[0].type.bytes),
            "OUTPUT_BYTES": str(graph.outputs[0].type.bytes),
            "FLASH_ORIGIN": f"{self.board.flash_origin:#010x}",
            "FLASH_LENGTH": str(self._flash()),
            "RAM_ORIGIN": f"{self.board.ram_origin:#010x}",
            "RAM_LENGTH": str(self._ram()),
            "OUTSIDE_LENGTH": str(sum(-(-v.type.bytes // 8) * 8 for g in source.graphs.values() for v in g.inputs)),
            "ENTRIES": " ".join(
                [f"{source.name}_{e}{end}" for e in source.graphs for end in ("", "_input", "_output", "_reset")]
                + ([f"{source.name}_state"] if source.states else [])
            ),
            "GCC_CORE": " ".join(gcc_core(self.board.core, floating)),
        }
        files = {}
        for path in sorted(_FIRMWARE.iterdir()):
            text = path.read_text(encoding="utf-8")
            for word, value in words.items():
                text = text.replace(f"@{word}@", value)
            files[path.name] = text
        return files

    def _ram(self) -> int:
        """RAM of the linker script: the user's limit where the board has it, so that what is promised is run."""
        return (min(self.limits.ram_bytes or self.board.ram_bytes, self.board.ram_bytes)) // 8 * 8

    def _flash(self) -> int:
        """Flash of the linker script: the board's; a program over the user's limit is reported, not refused."""
        return self.board.flash_bytes


class CortexMProgram:
    """A compiled folder: runs its `firmware.elf` on an emulated core."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
            self.board = Board(**manifest["board"])
            self.program = str(manifest["program"])
            self.clock_hz = float(manifest["limits"]["clock_hz"])
            self.ram_limit = manifest["limits"]["ram_bytes"]
            self.limits = Limits(**{**manifest["limits"], "dtypes": ("int8",)})
            self.arena_bytes = int(manifest["arena_bytes"])
            self.compiler = str(manifest["compiler"])
            self.entries = entries_from(manifest["entries"])
            self.states = {name: parse_type(text) for name, text in manifest.get("states", {}).items()}
            self.layers = manifest["layers"]
            self.kernels: dict[str, Any] = manifest.get("kernels", {})
            floating = any(t.dtype == "float32" for e in self.entries.values() for _, t in (*e.inputs, *e.outputs))
            self.gcc_flags = gcc_core(self.board.core, floating)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{folder}: not a compiled program: {error}") from None
        self._image = Image.read(folder / "firmware.elf")
        self._machine: Unicorn | None = None
        self._spare: list[Unicorn] = []  # for running many samples at once
        self._places: dict[str, tuple[list[int], list[int]]] = {}

    def _emulator(self) -> Unicorn:
        if self._machine is None:
            self._machine = self._new_machine()
        return self._machine

    def _new_machine(self) -> Unicorn:
        board, top = self.board, self._image.symbols["nw_stack_top"]
        flash = (board.flash_origin, board.flash_bytes)
        ram = (board.ram_origin, top - board.ram_origin)
        return Unicorn(self._image, board.core, flash, ram, self._image.size(".outside"))

    def _entry(self, entry: str) -> tuple[Unicorn, Entry, list[int], list[int]]:
        if entry not in self.entries:
            raise UserError(f"the program has no entry {entry!r} (it has {', '.join(self.entries)})")
        machine, types = self._emulator(), self.entries[entry]
        if entry not in self._places:
            self._places[entry] = (
                [machine.call(f"{self.program}_{entry}_input", i) for i in range(len(types.inputs))],
                [machine.call(f"{self.program}_{entry}_output", i) for i in range(len(types.outputs))],
            )
        return machine, types, *self._places[entry]

    def _step(
        self, machine: Unicorn, entry: str, arrays: list[np.ndarray], places: list[int], counts: Counts | None
    ) -> None:
        for array, address in zip(arrays, places):
            machine.write(address, array.tobytes())
        machine.call(f"{self.program}_{entry}", counts=counts)

    def run(self, *inputs: Any, entry: str = "infer", stream: bool = False) -> tuple[np.ndarray, ...]:
        """Run every sample [n, ...] on the emulated core; states restart for each one unless `stream`."""
        machine, types, *_ = self._entry(entry)
        batches = samples(inputs, types)
        count = len(batches[0])
        threads = 1 if stream else max(1, min(cores(), count // SAMPLES_A_CORE))
        while len(self._spare) < threads - 1:
            self._spare.append(self._new_machine())
        cuts = np.linspace(0, count, threads + 1).astype(int)
        with ThreadPoolExecutor(threads) as pool:  # the emulator works outside the interpreter's lock
            parts = list(
                pool.map(
                    lambda m, a, z: self._run_on(m, entry, [b[a:z] for b in batches], stream),
                    (machine, *self._spare),
                    cuts,
                    cuts[1:],
                )
            )
        return tuple(np.concatenate(arrays) for arrays in zip(*parts))

    def _run_on(self, machine: Unicorn, entry: str, batches: list[np.ndarray], stream: bool) -> tuple[np.ndarray, ...]:
        """Run samples one after the other on one machine."""
        types, (places, results) = self.entries[entry], self._places[entry]
        outputs: list[list[np.ndarray]] = [[] for _ in types.outputs]
        machine.call(f"{self.program}_{entry}_reset")
        for index in range(len(batches[0])):
            if index and not stream:
                machine.call(f"{self.program}_{entry}_reset")
            self._step(machine, entry, [b[index] for b in batches], places, None)
            for rows, (_, type), address in zip(outputs, types.outputs, results):
                data = np.frombuffer(machine.read(address, type.bytes), type.dtype)
                rows.append(data.reshape(type.shape[1:] if type.shape[:1] == (1,) else type.shape))
        self._check_stack(machine)
        return tuple(
            np.stack(rows) if rows else np.zeros((0, *type.shape[1:]), type.dtype)
            for rows, (_, type) in zip(outputs, types.outputs)
        )

    def reset(self, entry: str = "infer") -> None:
        """The states of an entry back to their start."""
        self._entry(entry)[0].call(f"{self.program}_{entry}_reset")

    def step(self, *inputs: Any, entry: str = "infer") -> tuple[np.ndarray, ...]:
        """One step on one sample, which goes on from the present states; entries share those of one name."""
        machine, types, places, results = self._entry(entry)
        self._step(machine, entry, [b[0] for b in samples(inputs, types)], places, None)
        self._check_stack(machine)
        return tuple(
            np.frombuffer(machine.read(address, type.bytes), type.dtype).reshape(type.shape)
            for (_, type), address in zip(types.outputs, results)
        )

    def state(self, name: str) -> np.ndarray:
        """A copy of a state as it is now. Raises UserError for a name that the program does not have."""
        type = known_state(self.states, name)
        address = self._emulator().call(f"{self.program}_state", list(self.states).index(name))
        return np.frombuffer(self._emulator().read(address, type.bytes), type.dtype).reshape(type.shape)

    def _check_stack(self, machine: Unicorn) -> None:
        free = self._image.symbols["nw_stack_top"] - self.board.ram_origin - self.static_bytes()
        if machine.stack_bytes() >= free:
            raise UserError(f"{self.folder}: the stack needs all {free} B beside the static data: RAM is too small")

    def static_bytes(self) -> int:
        """The arena and all other static data."""
        return self._image.size(".data", ".bss")

    def update_weights(self, weights: Mapping[str, np.ndarray]) -> None:
        """Weights lie in Flash: compile again instead (UserError)."""
        raise UserError("weights of a Cortex-M program lie in Flash; compile it again with the new weights")

    def profile(self, *inputs: Any, entry: str = "infer") -> Profile:
        """Counts of one step: instructions, RAM and Flash measured on the ELF; cycles modelled."""
        machine, types, places, _ = self._entry(entry)
        if inputs:
            arrays = [b[0] for b in samples(inputs, types)]
        else:
            arrays = [np.zeros(t.shape, t.dtype) for _, t in types.inputs]
        machine.call(f"{self.program}_{entry}_reset")
        counts = Counts()
        self._step(machine, entry, arrays, places, counts)
        instructions, cycles = count(self._image, counts, self.board.core, self.board.wait_states)
        self._check_stack(machine)
        image = self._image
        arena = image.symbol_sizes.get("arena", self.arena_bytes)
        macs = sum(layer["macs"] for layer in self.layers if layer["entry"] == entry)
        return Profile(
            instructions,
            cycles,
            cycles / self.clock_hz * 1e3,
            {"arena": arena, "stack": machine.stack_bytes(), "static": self.static_bytes() - arena},
            {"text": image.size(".text"), "rodata": image.size(".rodata", ".data", ".ARM.exidx")},
            macs,
            True,
            (),
            self.compiler,
            image.size(".outside"),
        )


def version_or_none() -> str:
    """The compiler whose code the coefficients were fitted to."""
    return str(coefficients("cortex-m4").get("compiler", ""))


@by_signature
def _packed_bytes(node: Node) -> int | None:
    """Bytes of constants that a layer's kernel has rearranged in Flash: weights, bias, multiplier, shift; None for
    operands that lie there as they are."""
    from netwright.graph.ops.int8.conv import QConv, QLinear
    from netwright.graph.ops.int8.conv_transpose import QConvTranspose
    from netwright.graph.ops.int8.feed_forward import QFeedForward

    if not isinstance(node.op, (QConv, QConvTranspose, QLinear, QFeedForward)):
        return None
    w = node.inputs[1]
    assert w is not None
    if isinstance(node.op, QFeedForward):
        second, table = node.inputs[5], node.inputs[4]
        assert second is not None
        return linear_bytes(w.shape) + linear_bytes(second.shape) + (table.type.size if table is not None else 0)
    if isinstance(node.op, QConv) and node.op.groups == 1:
        return stream_bytes(w.shape)
    if isinstance(node.op, QLinear):
        return linear_bytes(w.shape)
    return w.type.size + 9 * w.shape[0]
