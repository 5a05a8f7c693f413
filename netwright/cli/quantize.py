"""netwright quantize"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from .options import Constant, Json, Model, Out, Shape, load_model

EXAMPLES = """Examples:

netwright quantize model.onnx --data x.npy -o model-int8/

netwright quantize model.tflite --data x.npy --method percentile --json
"""
WORST = 10  # layers in the table
LOOKED_AT = 32  # samples that the layers are compared on


def command(
    model: Model,
    data: Annotated[
        list[str],
        typer.Option("--data", help="An .npy of calibration inputs [n, ...] in the model's own layout; one an input."),
    ],
    method: Annotated[
        str, typer.Option(help="How ranges are found: minmax, or percentile, which cuts the rarest values off.")
    ] = "minmax",
    shape: Shape = None,
    constant: Constant = None,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Post-training int8: calibrate a float network on data, and say which layers lose most."""
    from netwright.compress import layer_errors, quantise
    from netwright.devices import is_float
    from netwright.errors import UserError
    from netwright.graph import save

    from . import printing
    from .run import read

    graph = load_model(model, shape, constant)
    if not is_float(graph):
        raise UserError(f"{model}: computes in integers already; `netwright compile` takes it as it is")
    if method not in ("minmax", "percentile"):
        raise UserError(f"--method {method!r} is neither minmax nor percentile")
    samples = calibration(graph, [(path, read(path)) for path in data])
    with printing.working(f"calibrating on {len(samples[0]):,} samples", as_json):
        integer = quantise(graph, *samples, method=method)  # type: ignore[arg-type]
        few = [s[:LOOKED_AT] for s in samples]
        losses = layer_errors(graph, integer, *few)
        agree = _agreement(graph, integer, few)
    folder = out or f"{graph.name}-int8"
    try:
        save(integer, folder)
    except OSError as error:
        raise UserError(f"cannot write {folder}: {error.strerror or error}") from None
    before = sum(p.value.type.bytes for p in graph.params)
    after = sum(p.value.type.bytes for p in integer.params)
    found: dict[str, Any] = {
        "out": str(folder),
        "samples": len(samples[0]),
        "weight_bytes": {"float": before, "int8": after},
        "same_answer": agree,
        "layers": [{"name": name, "signal_to_noise_db": round(db, 2)} for name, db in losses],
    }
    if as_json:
        printing.as_json(found)
        return
    rows = [(name, f"{db:.1f} dB") for name, db in losses[:WORST]]
    title = f"{graph.name}: the layers that lose most, of {len(losses)} (signal to noise on {len(few[0])} samples)"
    printing.table(title, ("layer", "int8 against float"), rows, right=(1,))
    lines = [f"weights: {before:,} B as float, {after:,} B as int8"]
    if agree is not None:
        lines.append(f"the largest output is the same for {agree:.1%} of {len(few[0])} samples")
    lines.append(f"written to {folder}; next: netwright check {folder}, netwright compile {folder}")
    for line in lines:
        printing.out.print(line, markup=False, soft_wrap=True)


def calibration(graph: Any, given: list[tuple[str, Any]]) -> list[Any]:
    """Calibration arrays in the inputs' own shapes and dtype. Raises UserError naming the array that does not fit."""
    import numpy as np

    from netwright.errors import UserError

    if len(given) != len(graph.inputs):
        names = ", ".join(repr(v.name) for v in graph.inputs)
        raise UserError(f"the model has {len(graph.inputs)} inputs ({names}), {len(given)} --data given")
    arrays = []
    for value, (path, array) in zip(graph.inputs, given):
        inner = value.shape[1:] if value.shape[:1] == (1,) else value.shape
        if array.ndim != len(inner) + 1 or array.shape[1:] != inner or not len(array):
            sizes = "".join(f", {n}" for n in inner)
            raise UserError(f"{path}: input {value.name!r} takes [n{sizes}], the array is {list(array.shape)}")
        if array.dtype.kind not in "fiub":
            raise UserError(f"{path}: holds {array.dtype}, not numbers")
        numbers = array.astype(value.dtype)
        if not np.isfinite(numbers).all():
            raise UserError(f"{path}: holds values that are not finite (nan or inf); clean the calibration data first")
        arrays.append(numbers)
    if len({len(a) for a in arrays}) > 1:
        raise UserError("the --data arrays hold different numbers of samples")
    return arrays


def _agreement(graph: Any, integer: Any, samples: list[Any]) -> float | None:
    """The share of samples whose largest output stays where it was; None for outputs that are no classes."""
    from netwright.compress import integer_inputs

    if len(graph.outputs) != 1 or len(graph.outputs[0].shape) != 2 or graph.states:
        return None
    try:
        wide, narrow = graph.run(*samples)[0], integer.run(*integer_inputs(graph, integer, *samples))[0]
    except ValueError:  # the network is written for one sample at a time
        return None
    return float((wide.argmax(1) == narrow.argmax(1)).mean()) if len(wide) == len(samples[0]) else None
