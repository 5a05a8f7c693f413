"""netwright run"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from .options import Constant, Json, Shape, load_model

EXAMPLES = """Examples:

netwright run model.tflite --input x.npy --output y.npy

netwright run netwright-out/digits-cortex-m4 --input x.npy --output y.npy

netwright run wake-word --input hops.npy --output scores.npy --stream
"""


def command(
    model: Annotated[
        str, typer.Argument(help="A folder that `fit` or `compile` wrote; or a .tflite or .onnx file, run on --device.")
    ],
    input: Annotated[
        list[str],
        typer.Option("--input", "-i", help="An .npy of [n, ...] in the model's own layout and dtype; one an input."),
    ],
    output: Annotated[list[str], typer.Option("--output", "-o", help="Where the outputs go, as .npy; one an output.")],
    device: Annotated[
        str,
        typer.Option("--device", "-d", help="Where a model file is compiled for and run: a device or a board.toml."),
    ] = "host",
    shape: Shape = None,
    constant: Constant = None,
    entry: Annotated[str, typer.Option(help="Which function of the program.")] = "infer",
    stream: Annotated[bool, typer.Option("--stream", help="Keep the state from sample to sample.")] = False,
    as_json: Json = False,
) -> None:
    """Run a compiled program on its device or emulator."""
    from pathlib import Path

    from netwright import devices
    from netwright.errors import UserError

    from . import printing

    if Path(model).is_file():
        with printing.working(f"compiling {model} for {device}", as_json):
            program = devices.get(device).compile(load_model(model, shape, constant))
    else:
        program = devices.open_program(model)
    arrays = [read(path) for path in input]
    with printing.working(f"running {len(arrays[0]):,} samples", as_json):
        results = program.run(*arrays, entry=entry, stream=stream)
    if len(output) != len(results):
        raise UserError(f"the program has {len(results)} outputs, {len(output)} --output given")
    for path, array in zip(output, results):
        write(path, array)
    profile = program.profile(*[a[:1] for a in arrays], entry=entry)
    limits = getattr(program, "limits", None)
    violation = profile.broken(limits) if limits is not None else ""
    if as_json:
        printing.as_json(
            {
                "profile": profile.to_json(),
                "violations": [violation] if violation else [],
                "samples": len(arrays[0]),
                "output": output,
            }
        )
    else:
        printing.profile(f"{len(arrays[0]):,} samples through {program.folder}", profile)
        printing.out.print(f"written: {', '.join(output)}", markup=False, soft_wrap=True)


def read(path: str) -> Any:
    """The array in an .npy file. Raises UserError for one that is none; nothing is unpickled."""
    import numpy as np

    from netwright.errors import UserError

    try:
        return np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (ValueError, OSError, EOFError) as error:
        raise UserError(f"{path}: not a readable .npy file: {error}") from None


def write(path: str, array: Any) -> None:
    """An .npy file, which appears whole or not at all. Raises UserError when it cannot be written."""
    import os
    from pathlib import Path

    import numpy as np

    from netwright.errors import UserError

    target = Path(path)
    beside = target.with_name(f".{target.name}.{os.getpid()}.npy")
    try:
        np.save(beside, array)
        os.replace(beside, target)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}") from None
    finally:
        beside.unlink(missing_ok=True)
