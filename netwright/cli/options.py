"""Options that several commands share, and the model that most of them take."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from netwright.graph import Graph

Ram = Annotated[str | None, typer.Option(help="RAM the network may use, stack included: 4KB, 65536.")]
Flash = Annotated[str | None, typer.Option(help="Flash for code and weights: 32KB, 1MB.")]
Latency = Annotated[str | None, typer.Option(help="Longest time of one inference (modelled): 20ms.")]
Clock = Annotated[str | None, typer.Option(help="Clock instead of the device's own: 80MHz.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on standard output, nothing else there.")]
Out = Annotated[str | None, typer.Option("--out", "-o", help="Folder for everything that is written.")]
DeviceName = Annotated[str, typer.Option("--device", "-d", help="A device (see `netwright devices`) or a board.toml.")]
Compiler = Annotated[
    str, typer.Option(help="zig (installed with netwright[mcu]), or arm-none-eabi-gcc from the PATH, for Cortex-M.")
]
Tune = Annotated[
    bool,
    typer.Option(
        "--tune",
        help="For Cortex-M: count each layer on every kernel it may have, take the quickest. Same bytes; may take a "
        "little more Flash, and RAM where there is some.",
    ),
]
Patches = Annotated[
    str,
    typer.Option(
        help="Compute the first layers band by band: auto (where RAM needs it), none, or FIRST-LAST:BANDS[,...]."
    ),
]
InputOutside = Annotated[
    bool, typer.Option("--input-outside", help="Keep the input in memory of its own, outside the arena.")
]
IntegerEnds = Annotated[
    bool, typer.Option("--integer-ends", help="Take and give the integers of a network that has float ends.")
]
Model = Annotated[str, typer.Argument(help="A .tflite or .onnx file, or a folder that netwright wrote.")]
Shape = Annotated[
    list[str] | None,
    typer.Option("--shape", help="What the file leaves open: input=1,64,64,3 or, in ONNX, dimension=64. Repeatable."),
]
Constant = Annotated[
    list[str] | None,
    typer.Option("--constant", help="An input of an ONNX model that is always the same: sr=16000. Repeatable."),
]


def load_model(path: str, shape: list[str] | None, constant: list[str] | None = None) -> Graph:
    """The graph of a MODEL argument. Raises UserError for a --shape or --constant that is none, and as
    `netwright.load`."""
    from netwright import load
    from netwright.errors import UserError

    shapes: dict[str, Any] = {}
    for given in shape or ():
        name, equals, sizes = given.rpartition("=")
        try:
            numbers = tuple(int(n) for n in sizes.replace("x", ",").split(","))
        except ValueError:
            numbers = ()
        if not equals or not name or not numbers or min(numbers) < 1:
            raise UserError(f"--shape {given!r} is not NAME=SIZES, such as input=1,64,64,3 or batch=1")
        shapes[name] = numbers if len(numbers) > 1 else numbers[0]
    constants = dict(_constant(given) for given in constant or ())
    return load(path, shapes=shapes or None, constants=constants or None)


def _constant(given: str) -> tuple[str, Any]:
    """NAME=VALUE: a number, true or false, or several separated by commas."""
    from netwright.errors import UserError

    name, equals, text = given.rpartition("=")
    values = [_number(part) for part in text.split(",")]
    if not equals or not name or any(value is None for value in values):
        raise UserError(f"--constant {given!r} is not NAME=VALUE, such as sr=16000 or scales=1,1,2.0,2.0")
    return name, values if len(values) > 1 else values[0]


def _number(text: str) -> int | float | bool | None:
    """A Python number, or nothing where the text is none."""
    text = text.strip()
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return None


def assigned(texts: Iterable[str], option: str) -> dict[str, Any]:
    """`rate=0.01` -> {"rate": 0.01}: numbers, true or false, and texts. Raises UserError for anything else."""
    from netwright.errors import UserError

    values: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UserError(f"{option} {text!r} is not of the form field=value")
        number = _number(value)
        values[name] = value if number is None else number
    return values
