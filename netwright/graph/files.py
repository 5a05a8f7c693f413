"""A graph on disk: `graph.txt`, the text form, beside `weights.safetensors`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import UserError
from .graph import Graph
from .store import Store
from .text import parse, to_text

GRAPH_FILE, WEIGHTS_FILE = "graph.txt", "weights.safetensors"


def write_text(path: Path, text: str) -> None:
    """Write a text file beside its place, then rename it there, so that no half-written file is ever seen."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_text(text, encoding="utf-8")
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def save(graph: Graph, folder: str | os.PathLike[str]) -> None:
    """Write `graph` into `folder`; only the tensors it names."""
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    named = [*(p.tensor for p in graph.params), *(s.tensor for s in graph.states if s.tensor is not None)]
    Store({name: graph.store[name] for name in named}).save(place / WEIGHTS_FILE)
    write_text(place / GRAPH_FILE, to_text(graph))


def load(
    path: str | os.PathLike[str], *, shapes: Mapping[str, Any] | None = None, constants: Mapping[str, Any] | None = None
) -> Graph:
    """Read a .tflite or .onnx file, or a folder that `save`, `fit` or `compile` wrote.

    `shapes` binds what a model file leaves open: input name -> whole shape (ONNX: also dimension name -> size).
    `constants` (ONNX) binds inputs to numbers or arrays; they are then no inputs any more. Raises UserError, in one
    line, for anything that cannot be read or is not supported.
    """
    place = Path(path)
    if place.is_dir():
        if shapes or constants:
            raise UserError(f"{place}: a graph that netwright wrote leaves nothing open: give no shapes or constants")
        return _load_folder(place)
    if not place.exists():
        raise UserError(f"{place}: no such file or folder")
    kind = _kind(place)
    if kind == "tflite":
        if constants:
            named = ", ".join(map(repr, sorted(constants)))
            raise UserError(f"{place}: constants name {named}: only inputs of ONNX models are bound so")
        from .tflite import from_tflite

        return from_tflite(place, shapes=shapes)
    if kind == "onnx":
        from .onnx import from_onnx

        return from_onnx(place, shapes=shapes, constants=constants)
    hint = _HINTS.get(place.suffix, "")
    raise UserError(f"{place}: not a model that netwright reads (.tflite, .onnx, or a folder it wrote){hint}")


_PICKLED = "; it may hold code, which is never run: load it in Python and use netwright.from_torch(module, example)"
_HINTS = {
    **dict.fromkeys((".pt", ".pth", ".ckpt", ".bin", ".pkl"), _PICKLED),
    **dict.fromkeys((".h5", ".keras", ".pb"), "; convert it to .tflite or .onnx first"),
}


def _kind(path: Path) -> str:
    """`tflite` or `onnx`, by the file's mark or its name; empty for neither."""
    try:
        with path.open("rb") as file:
            mark = file.read(8)[4:]
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}") from None
    if mark == b"TFL3" or path.suffix in (".tflite", ".lite"):
        return "tflite"
    return "onnx" if path.suffix == ".onnx" else ""


def _load_folder(place: Path) -> Graph:
    for name in (GRAPH_FILE, WEIGHTS_FILE):
        if not (place / name).is_file():
            writers = "`netwright fit` or `netwright compile`"
            raise UserError(f"{place}: no {name} there; give a folder written by {writers}, or a model file")
    try:
        store = Store.load(place / WEIGHTS_FILE)
        graph = parse((place / GRAPH_FILE).read_text(encoding="utf-8"), store)
    except (ValueError, UnicodeDecodeError) as error:
        raise UserError(f"{place}: damaged: {error}") from None
    needed = [(p.tensor, p.stored_type.shape) for p in graph.params]
    needed += [(s.tensor, s.before.shape) for s in graph.states if s.tensor is not None]
    for tensor, shape in needed:
        if tensor not in store:
            raise UserError(f"{place / WEIGHTS_FILE}: no tensor {tensor!r}, which the graph needs")
        if store[tensor].shape != shape:
            raise UserError(f"{place / WEIGHTS_FILE}: tensor {tensor!r} has another shape than the graph says")
    return graph
