"""The engine of MCUNet on its published network for visual wake words; its two-stage search is not among the claims."""

from __future__ import annotations

from pathlib import Path

from netwright import device, load
from netwright.compile import ends
from netwright.devices import Profile
from netwright.errors import UserError
from netwright.graph import Graph

from . import Claim, Measured, System

MODEL = ("mcunet-models", "mcunet_vww1.tflite")
INTERPRETER = {"instructions": 48.55e6, "ram": 219_808 + 1_324}  # TFLite Micro with CMSIS-NN, recorded
TINY = {"instructions": 34.77e6, "ram": 93_992 + 600}  # TinyEngine on the int8 body, recorded


def network(data: Path | None) -> Graph:
    """The published int8 network with its float ends. Raises UserError where the recorded data lack it."""
    path = data.joinpath(*MODEL) if data is not None else None
    if path is None or not path.is_file():
        raise UserError(f"mcunet needs {'/'.join(MODEL)} of the recorded data: give --data DIR or NETWRIGHT_DATA")
    return load(path)


def _profile(graph: Graph) -> Profile:
    return device("cortex-m4").compile(graph).profile()


def speed(data: Path | None, seed: int) -> Measured:
    """Instructions of the interpreter over ours, both with float ends."""
    ratio = INTERPRETER["instructions"] / _profile(network(data)).instructions
    note = "instructions on an emulated Cortex-M4 against TFLite Micro with CMSIS-NN of 2026, not of 2020"
    return Measured(ratio, ratio >= 1.7, note)


def memory(data: Path | None, seed: int) -> Measured:
    """RAM of the interpreter over ours, both with float ends."""
    ratio = INTERPRETER["ram"] / _profile(network(data)).ram_total
    note = "one network, its float input of 76,800 B counted on both sides; the published figure is the best of several"
    return Measured(ratio, ratio >= 4.8, note)


def against_the_engine(data: Path | None, seed: int) -> Measured:
    """Instructions of our code over those of the published engine, int8 ends."""
    share = _profile(ends.integer(network(data))).instructions / TINY["instructions"]
    return Measured(share, share < 1, "Cortex-M4 code against its Cortex-M7 code, whose outputs are not bit-exact")


def memory_against_the_engine(data: Path | None, seed: int) -> Measured:
    """RAM of our code with the stack, int8 ends."""
    used = _profile(ends.integer(network(data))).ram_total
    return Measured(used, used < TINY["ram"], "arena and stack, measured on the emulated core")


system = System(
    name="mcunet",
    paper="Lin et al. 2020 (MCUNet: Tiny Deep Learning on IoT Devices)",
    about="an int8 network for visual wake words and an engine that leaves out what it does not use",
    claims=(
        Claim(
            "inference is faster than with an interpreter",
            "1.7 to 3.3 times",
            "STM32F746, several networks, against TF-Lite Micro and CMSIS-NN of 2020",
            "times",
            speed,
        ),
        Claim(
            "memory is less than with an interpreter",
            "up to 4.8 times",
            "the same engines, best of several networks",
            "times",
            memory,
        ),
        Claim(
            "instructions of the engine itself on mcunet_vww1",
            "34.77 M (recorded by us from its public code)",
            "int8 body, Cortex-M7 code",
            "times its instructions",
            against_the_engine,
        ),
        Claim(
            "memory of the engine itself on mcunet_vww1",
            "94,592 B (recorded by us from its public code)",
            "int8 body, static buffer and stack",
            "B of RAM",
            memory_against_the_engine,
        ),
    ),
)
