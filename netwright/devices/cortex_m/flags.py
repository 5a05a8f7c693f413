"""What the two compilers are told about a core: clang inside `ziglang`, and arm-none-eabi-gcc."""

from __future__ import annotations

from pathlib import Path

from netwright.errors import UserError

from ..c.toolchain import ZIG

GCC = "arm-none-eabi-gcc"
_CPUS = {"cortex-m0plus": "cortex_m0plus", "cortex-m4": "cortex_m4", "cortex-m7": "cortex_m7"}  # clang's names
_UNITS = {"cortex-m4": ("vfp4d16sp", "fpv4-sp-d16"), "cortex-m7": ("fp_armv8d16sp", "fpv5-sp-d16")}  # clang's, gcc's
_COMMON = (
    "-O2",
    "-fomit-frame-pointer",
    "-ffreestanding",
    "-ffp-contract=off",  # sums round where the reference's do
    "-ffunction-sections",
    "-fdata-sections",
    "-fno-unwind-tables",
    "-fno-asynchronous-unwind-tables",
    "-g0",
)
_LINKED = ("-Wl,--gc-sections", "-T", "link.ld")


def chosen(compiler: str) -> str:
    """`compiler` as it was given, if it is one that this device builds with. Raises UserError otherwise."""
    if compiler != ZIG and not Path(compiler).name.startswith(GCC):
        raise UserError(f"compiler {compiler!r}: Cortex-M programs are built with {ZIG} or {GCC}")
    return compiler


def gcc_core(core: str, floating: bool) -> tuple[str, ...]:
    """gcc's flags that name a core; `floating` programs use its floating-point unit, if it has one."""
    unit = _UNITS.get(core) if floating else None
    numbers = ("-mfloat-abi=softfp", f"-mfpu={unit[1]}") if unit else ("-mfloat-abi=soft",)
    return (f"-mcpu={core}", "-mthumb", *numbers)


def flags(compiler: str, core: str, floating: bool) -> list[str]:
    """Everything but the sources, for a firmware with its own start-up code and `link.ld`."""
    if compiler != ZIG:
        # the start-up code's memcpy must not become a call of memcpy
        return [*gcc_core(core, floating), *_COMMON, "-fno-tree-loop-distribute-patterns", "-nostdlib", *_LINKED]
    unit = _UNITS.get(core) if floating else None
    return [
        "-target",
        "thumb-freestanding-eabi",
        f"-mcpu={_CPUS[core]}{f'+{unit[0]}' if unit else ''}",
        *(["-mfloat-abi=softfp"] if unit else []),
        "-fno-sanitize=all",
        *_COMMON,
        *_LINKED,
    ]
