"""Running an ELF on an emulated Cortex-M: the only module that imports unicorn (GPL-2), behind the `Emulator` protocol.

The emulator executes the artefact from its reset vector to `main`, then calls its functions by name. It counts
instructions exactly, by basic block; there are no memory-write hooks, because they break Thumb IT blocks. RAM use is
measured by painting.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from netwright.errors import MissingExtra, UserError

PAINT = 0xA5
_PAGE = 4096
_SYSTEM = 0xE000_E000  # the core's own control registers
_LARGEST = 256 << 20  # bytes of one memory
_RETURN = 0x0FFF_F000  # nothing lies there: a call ends by returning to it


@dataclass
class Counts:
    """Instructions of one call, and how often each basic block ran after which: (previous, block) -> count."""

    instructions: int = 0
    edges: Counter[tuple[int, int]] = field(default_factory=Counter)
    sizes: dict[int, int] = field(default_factory=dict)  # block address -> bytes


class Emulator(Protocol):
    """What the Cortex-M device needs of an emulator."""

    def call(self, symbol: str, *arguments: int, counts: Counts | None = None) -> int: ...
    def read(self, address: int, size: int) -> bytes: ...
    def write(self, address: int, data: bytes) -> None: ...
    def stack_bytes(self) -> int: ...


@dataclass(frozen=True)
class Image:
    """What an ELF says of itself."""

    segments: tuple[tuple[int, bytes], ...]  # load address, bytes
    symbols: dict[str, int]
    symbol_sizes: dict[str, int]
    sections: dict[str, tuple[int, int]]  # name -> address, bytes

    @classmethod
    def read(cls, path: Path) -> Image:
        """Raises UserError for a file that is not an ELF."""
        try:
            from elftools.common.exceptions import ELFError
            from elftools.elf.elffile import ELFFile
        except ImportError:
            raise MissingExtra("the ELF reader (pyelftools)", "mcu") from None
        try:
            with path.open("rb") as file:
                elf = ELFFile(file)
                segments = tuple(
                    (s["p_paddr"], s.data()) for s in elf.iter_segments() if s["p_type"] == "PT_LOAD" and s["p_filesz"]
                )
                table: Any = elf.get_section_by_name(".symtab")
                named = [(s.name, s["st_value"], s["st_size"]) for s in table.iter_symbols() if s.name] if table else []
                sections = {s.name: (s["sh_addr"], s["sh_size"]) for s in elf.iter_sections() if s.name}
        except (ELFError, OSError) as error:
            raise UserError(f"{path}: not a readable ELF: {error}") from None
        return cls(segments, {n: v for n, v, _ in named}, {n: s for n, _, s in named}, sections)

    def size(self, *sections: str) -> int:
        """Bytes of these sections together."""
        return sum(self.sections.get(s, (0, 0))[1] for s in sections)


class Unicorn:
    """A Cortex-M core in unicorn, with Flash and RAM of the board's sizes, and memory for inputs behind the RAM."""

    def __init__(
        self, image: Image, core: str, flash: tuple[int, int], ram: tuple[int, int], outside: int = 0
    ) -> None:
        try:
            import unicorn
            from unicorn import arm_const
        except ImportError:
            raise MissingExtra("the emulator (unicorn)", "mcu") from None
        self._unicorn, self._arm = unicorn, arm_const
        self._image = image
        self._ram = ram
        machine: Any = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS)
        models = {
            "cortex-m0plus": arm_const.UC_CPU_ARM_CORTEX_M0,
            "cortex-m4": arm_const.UC_CPU_ARM_CORTEX_M4,
            "cortex-m7": arm_const.UC_CPU_ARM_CORTEX_M7,
        }
        machine.ctl_set_cpu_model(models[core])
        if max(flash[1], ram[1]) > _LARGEST:
            raise UserError(f"memories of {flash[1]:,} B and {ram[1]:,} B are no microcontroller's")
        for origin, length in (flash, (ram[0], ram[1] + outside)):
            start = origin // _PAGE * _PAGE
            machine.mem_map(start, -(-(origin + length - start) // _PAGE) * _PAGE)
        machine.mem_map(_SYSTEM, _PAGE)
        for address, data in image.segments:
            machine.mem_write(address, data)
        self._machine = machine
        self._error: str | None = None
        self._top = ram[0] + ram[1]
        self._floor = max((a + n for a, n in (image.sections.get(s, (0, 0)) for s in (".data", ".bss"))), default=0)
        self._floor = max(self._floor, ram[0])
        machine.mem_write(self._floor, bytes([PAINT]) * (self._top - self._floor))
        self._go(image.symbols["Reset_Handler"], image.symbols["main"] & ~1)

    def _go(self, start: int, until: int) -> None:
        arm = self._arm
        self._machine.reg_write(arm.UC_ARM_REG_SP, self._top)
        try:
            self._machine.emu_start(start | 1, until)
        except self._unicorn.UcError as error:
            at = self._machine.reg_read(arm.UC_ARM_REG_PC)
            raise UserError(
                f"the program faulted on the emulated core at {at:#010x} ({error}): {self._where(at)}"
            ) from None

    def _where(self, address: int) -> str:
        inside = [
            n for n, v in self._image.symbols.items() if v & ~1 <= address < (v & ~1) + self._image.symbol_sizes[n]
        ]
        return f"in {inside[0]}" if inside else "outside the program"

    def call(self, symbol: str, *arguments: int, counts: Counts | None = None) -> int:
        """Call a function; returns r0. Raises UserError for an unknown symbol or a fault."""
        if symbol not in self._image.symbols:
            raise UserError(f"the program has no function {symbol!r}")
        arm, machine = self._arm, self._machine
        registers = (arm.UC_ARM_REG_R0, arm.UC_ARM_REG_R1, arm.UC_ARM_REG_R2, arm.UC_ARM_REG_R3)
        for register, value in zip(registers, arguments):
            machine.reg_write(register, value)
        machine.reg_write(arm.UC_ARM_REG_LR, _RETURN | 1)
        hook = None
        if counts is not None:
            edges, sizes = counts.edges, counts.sizes
            previous = [0]

            def block(_: object, address: int, size: int, __: object) -> None:
                edges[previous[0], address] += 1
                sizes[address] = size
                previous[0] = address

            machine.ctl_flush_tb()  # code translated before has no hook in it
            hook = machine.hook_add(self._unicorn.UC_HOOK_BLOCK, block)
        try:
            self._go(self._image.symbols[symbol], _RETURN)
        finally:
            if hook is not None:
                machine.hook_del(hook)
                machine.ctl_flush_tb()
        return int(machine.reg_read(arm.UC_ARM_REG_R0))

    def read(self, address: int, size: int) -> bytes:
        return bytes(self._machine.mem_read(address, size))

    def write(self, address: int, data: bytes) -> None:
        self._machine.mem_write(address, data)

    def stack_bytes(self) -> int:
        """Deepest stack since the start, by the paint that is left; all of it means that it may have overflowed."""
        region = self.read(self._floor, self._top - self._floor)
        untouched = len(region) - len(region.lstrip(bytes([PAINT])))
        return len(region) - untouched
