"""From counted instructions to modelled cycles, by a table with a source for each row (`cycles.csv`)."""

from __future__ import annotations

import csv
from functools import lru_cache
from pathlib import Path

from netwright.errors import MissingExtra

from .emulator import Counts, Image

_LOADS = ("ldr", "ldrb", "ldrh", "ldrsb", "ldrsh", "ldrex")
_STORES = ("str", "strb", "strh", "strex")
_MULTIPLE = ("push", "pop", "ldm", "stm", "ldmia", "stmia", "stmdb", "ldmdb", "ldrd", "strd")
_BRANCHES = ("b", "bl", "bx", "blx", "cbz", "cbnz", "tbb", "tbh")
_MULTIPLIES = ("mul", "mla", "mls", "smull", "umull", "smlal", "umlal", "smlad", "smuad", "smlabb", "smlatt", "smulbb")


@lru_cache(maxsize=8)
def table(core: str) -> dict[str, float]:
    """Instruction class -> cycles for a core."""
    with Path(__file__).with_name("cycles.csv").open(encoding="utf-8") as file:
        return {row["class"]: float(row["cycles"]) for row in csv.DictReader(file) if row["core"] == core}


def kind_of(mnemonic: str) -> str:
    """The class of an instruction by its mnemonic, condition and width suffixes aside."""
    base = mnemonic.split(".")[0]
    for names, kind in ((_MULTIPLE, "multiple"), (_LOADS, "load"), (_STORES, "store"), (_MULTIPLIES, "mul")):
        if base in names or (base[:-1] in names and base.endswith("s")) or base[:-2] in names:
            return kind
    if base in ("sdiv", "udiv"):
        return "div"
    stem = base[:-2] if len(base) == 3 and base[0] == "b" and base not in ("bic", "bfi", "bfc") else base
    return "branch" if stem in _BRANCHES else "alu"


def count(image: Image, counts: Counts, core: str, wait_states: int = 0) -> tuple[int, int]:
    """(instructions, modelled cycles) of one counted call; also sets `counts.instructions`.

    A block that is not followed by the next address has taken its branch; each taken branch also waits `wait_states`
    for Flash, which sequential fetches are assumed to hide.
    """
    try:
        import capstone
    except ImportError:
        raise MissingExtra("the disassembler (capstone)", "mcu") from None
    costs = table(core)
    decoder = capstone.Cs(capstone.CS_ARCH_ARM, capstone.CS_MODE_THUMB | capstone.CS_MODE_MCLASS)
    blocks: dict[int, tuple[int, float]] = {}
    for address, size in counts.sizes.items():
        code = _bytes_at(image, address, size)
        number, cycles, before = 0, 0.0, ""
        for instruction in decoder.disasm(code, address):
            kind = kind_of(instruction.mnemonic)
            number += 1
            if kind == "multiple":
                listed = instruction.op_str.count(",") + 1
                registers = 2 if instruction.mnemonic.startswith(("ldrd", "strd")) else listed
                cycles += costs["multiple_base"] + costs["multiple_each"] * registers
            elif kind == "load":
                cycles += costs["load_after_load" if before == "load" else "load"]
            else:
                cycles += costs[kind]
            before = kind
        blocks[address] = (number, cycles)
    instructions, total = 0, 0.0
    for (previous, address), times in counts.edges.items():
        number, cycles = blocks[address]
        instructions += number * times
        total += cycles * times
        if previous and previous + counts.sizes[previous] != address:
            total += (costs["taken"] + wait_states) * times
    counts.instructions = instructions
    return instructions, round(total * costs["scale"])


def _bytes_at(image: Image, address: int, size: int) -> bytes:
    for start, data in image.segments:
        if start <= address < start + len(data):
            return data[address - start : address - start + size]
    return b""
